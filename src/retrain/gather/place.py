"""Where new pictures go: into category folders, never over a file that is there."""

import contextlib
import errno
import hashlib
import os
from pathlib import Path

from retrain.data.sources import place_for_new
from retrain.errors import UsageError
from retrain.files import file_digest, machine_errors
from retrain.infer.names import folder_name

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)


def category_folder(category: str) -> str:
    """Return a category that a user named, if a folder can have that name.

    Raises:
        UsageError: it cannot.
    """
    if (folder := folder_name(category)) != category:
        raise UsageError(
            "A category must be a name that a folder can have on every system. "
            f"Received: {category!r}. {folder!r} would do.",
            setting="category",
        )
    return category


class Place:
    """The category folders of a workspace, for pictures to be added."""

    def __init__(self, root: Path, home: Path | None = None) -> None:
        """Look at what lies there.

        Args:
            root: the workspace.
            home: that holds the category folders; None for where the data folder has them.

        Raises:
            DataError: a labels.csv would leave new pictures out.
        """
        self.data = root / "data"
        self.home = home or place_for_new(self.data)

    def name(self, path: Path) -> str:
        """Return a picture's path relative to the data folder, "/" between parts."""
        return path.relative_to(self.data).as_posix()

    def add(self, category: str, name: str, content: bytes) -> Path:
        """Write a picture to a category's folder, whole or not at all.

        Args:
            category: the name of its folder, which is made if it is missing.
            name: of the file. Where another file has it, a number is added; where that has the same
                content, nothing is written.
            content: of the file.

        Returns:
            Where the content lies.

        Raises:
            MachineError: it cannot be written.
        """
        folder = self.home / category
        with machine_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / f".{os.getpid()}.part"
            try:
                part.write_bytes(content)
                return settle(part, folder / name, hashlib.sha256(content).hexdigest())
            finally:
                part.unlink(missing_ok=True)


def settle(part: Path, target: Path, sha256: str) -> Path:
    """Give a finished file its name, or that name with a number where another file has it.

    Args:
        part: the file, in the folder of the target.
        target: as it should be called.
        sha256: of the content, hex; where a file of such a name has that, `part` is left as it is.

    Returns:
        Where the content lies.
    """
    number = 1
    while True:
        mark = f"-{number}" if number > 1 else ""
        path = target.with_name(f"{target.stem}{mark}{target.suffix}")
        try:
            _rename_new(part, path)
            return path
        except FileExistsError:
            with contextlib.suppress(OSError):  # a folder of that name
                if file_digest(path) == sha256:
                    return path
            number += 1


def _rename_new(part: Path, path: Path) -> None:
    """Rename a file, but never over another.

    Raises:
        FileExistsError: there is a file of that name.
    """
    try:
        path.hardlink_to(part)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from error
        part.rename(path)
    else:
        part.unlink()
