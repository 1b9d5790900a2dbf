"""What tells whether a file is still what it was: its size and its time."""

import filecmp
import os
from pathlib import Path
from typing import NamedTuple

CLOCK = 2  # s: FAT keeps times to two seconds


class Stamp(NamedTuple):
    """A file's size in bytes, and the time of its last change in whole seconds since 1970.

    Finer times would not survive a spreadsheet, nor most file systems that copies go to.
    """

    size: int
    time: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Return the stamp of a file whose status is known."""
        return cls(status.st_size, status.st_mtime_ns // 1_000_000_000)

    def same(self, other: "Stamp | None") -> bool:
        """Tell whether two stamps are of one state of a file, as far as clocks allow."""
        return (
            other is not None and self.size == other.size and abs(self.time - other.time) <= CLOCK
        )


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of what lies at a path, links followed; None where it cannot be had."""
    try:
        return Stamp.of(path.stat())
    except (OSError, ValueError):
        return None


def is_unedited(copy: Path, written: Stamp | None, source: Path) -> bool:
    """Tell whether a copy is as it was made, so that nothing is lost with it.

    Its stamp says so, or else its content, which the source has too: a folder that was moved by a
    tool that keeps no times is no edited one.

    Args:
        copy: that was made of `source`.
        written: its stamp when it was made; None where nobody noted it.
        source: may have changed or vanished since.
    """
    try:
        there = copy.stat()
        original = None if is_gone(source) else source.stat()
        if original is not None and os.path.samestat(there, original):
            # A hard link; or else a way to the source itself, which must not be lost.
            return there.st_nlink > 1 and copy.resolve() != source.resolve()
        if written is not None and written.same(Stamp.of(there)):
            return True
        if original is None:
            return False
        if written is None and Stamp.of(original).same(Stamp.of(there)):
            return True
        return there.st_size == original.st_size and filecmp.cmp(copy, source, shallow=False)
    except OSError:
        return False


def is_gone(path: Path) -> bool:
    """Tell whether nothing lies at a path; what cannot be looked at may well be there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False
