"""Makes one copy of one picture, whole or not at all."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from retrain.errors import MachineError
from retrain.files import atomic_writer, machine_errors

# What the file system of a copy says of that one copy: its name or its size.
ABOUT_ONE_COPY = (errno.ENAMETOOLONG, errno.EFBIG, errno.EINVAL, errno.EILSEQ)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CHUNK = 1 << 30  # bytes that one call of the kernel copies at most
_PIECE = 1 << 20  # bytes at a time where the kernel cannot


class SourceError(Exception):
    """A source that cannot be read; the message is the reason, without the path."""


def make_copy(source: Path, target: Path, link: bool) -> None:
    """Copy content, and times and permissions as far as they can be had.

    Args:
        source: a file.
        target: is replaced if it is there.
        link: make a hard link where the file system can.

    Raises:
        SourceError: the source cannot be read. OSError: the target cannot be written.
    """
    with atomic_writer(target) as part:
        if not (link and _linked(source, part)):
            _copy(source, part)


def moved(copy: Path, target: Path) -> bool:
    """Give a copy another name; False where it must be copied anew, such as to another disk."""
    try:
        copy.replace(target)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def destination_errors(place: Path) -> Iterator[None]:
    """Turn whatever the operating system says of a folder of copies into MachineError."""
    try:
        with machine_errors(place):
            yield
    except OSError as error:
        raise MachineError(
            f"{error.filename or place} cannot be written: {error.strerror or error}."
        ) from error


def _linked(source: Path, target: Path) -> bool:
    """Make a hard link to the file itself; False where the file system has none to give."""
    try:
        target.hardlink_to(source.resolve(strict=True))
    except (OSError, RuntimeError):  # copying finds out whether it is the source's fault
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    with _source_errors():
        reading = source.open("rb")
    with reading, target.open("wb") as writing:
        if not _copied_by_kernel(reading, writing):
            _copy_pieces(reading, writing)
    # FAT, and much that is mounted from elsewhere, has no modes or keeps its own times.
    for step in (shutil.copystat, shutil.copymode):
        with contextlib.suppress(OSError):
            step(source, target)


def _copied_by_kernel(reading: BinaryIO, writing: BinaryIO) -> bool:
    """Let the kernel copy, which shares blocks where it can; False where it cannot."""
    size = os.fstat(reading.fileno()).st_size
    try:
        while count := os.copy_file_range(reading.fileno(), writing.fileno(), _CHUNK):
            size -= count
    except (AttributeError, OSError) as error:  # macOS; file systems that cannot; bad sectors
        if getattr(error, "errno", None) in _FULL:
            raise
        return False
    return size == 0


def _copy_pieces(reading: BinaryIO, writing: BinaryIO) -> None:
    reading.seek(0)
    writing.seek(0)
    writing.truncate()
    while True:
        with _source_errors():
            piece = reading.read(_PIECE)
        if not piece:
            return
        writing.write(piece)


@contextlib.contextmanager
def _source_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SourceError(error.strerror or str(error)) from error
