"""A folder that copies go to: made, locked, and rid of what a killed run left half-written."""

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path

from retrain.errors import MachineError, UsageError
from retrain.infer.copying import destination_errors
from retrain.infer.sources import folders

_PART = re.compile(r"\.(.+)\.part-\d+", re.DOTALL)  # as atomic_writer names them


class Place:
    """A folder that is held against other processes until it is let go of.

    unlocked: why it is not held, where the file system has no locks; else None.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Make the folder and lock it; the kernel lets go of it even after a crash.

        Args:
            folder: absolute.
            name: what messages call it.

        Raises:
            UsageError: something else is in its place.
            MachineError: it cannot be made, or another process sorts into it.
        """
        self.folder = folder
        self.unlocked: str | None = None
        with destination_errors(folder):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(folder, os.O_RDONLY)
            except (FileExistsError, NotADirectoryError) as error:
                raise UsageError(f"{name} must be a folder. Received: {folder}") from error
            if not os.access(folder, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(f"Another guess-dir sorts into {folder}. Wait for it.") from None
        except OSError as error:  # some that are mounted from elsewhere have none
            self.unlocked = error.strerror or str(error)

    def remove_parts(self, is_ours: Callable[[Path], bool]) -> None:
        """Delete half-written files here and one folder below, where categories may be.

        Args:
            is_ours: tells whether a file that was to be written is one of ours.
        """
        with destination_errors(self.folder):
            for folder in folders(self.folder):
                with contextlib.suppress(OSError):  # somebody's own, say, that cannot be listed
                    _remove_parts(folder, is_ours)
            _remove_parts(self.folder, is_ours)

    def let_go(self) -> None:
        """Let others in."""
        os.close(self._lock)


def _remove_parts(folder: Path, is_ours: Callable[[Path], bool]) -> None:
    with os.scandir(folder) as found:
        parts = [part for entry in found if (part := _PART.fullmatch(entry.name))]
    for part in parts:
        if is_ours(folder / part[1]):
            (folder / part[0]).unlink()
