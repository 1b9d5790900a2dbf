"""Where new pictures go: into category folders, never over a file that is there."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from retrain.errors import UsageError
from retrain.files import file_digest, machine_errors
from retrain.infer.copying import make_copy
from retrain.infer.names import folder_name

_PART = ".retrain-{}.part"  # of a process, by its number
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


def add(target: Path, content: bytes) -> Path:
    """Write a picture to a category's folder, whole or not at all.

    Args:
        target: in a folder that is made if it is missing. Where another file has that name, a
            number is added; where that has the same content, nothing is written.
        content: of the file.

    Returns:
        Where the content lies.

    Raises:
        MachineError: it cannot be written.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    return _add(target, sha256, lambda part: part.write_bytes(content))


def add_file(target: Path, source: Path, sha256: str, link: bool) -> Path:
    """Copy a file to a category's folder as `add` writes one.

    Args:
        target: as for `add`.
        source: the file.
        sha256: of its content, hex.
        link: whether to make a hard link, where the file system can.
    """
    return _add(target, sha256, lambda part: make_copy(source, part, link))


def _add(target: Path, sha256: str, write: Callable[[Path], object]) -> Path:
    with machine_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.parent / _PART.format(os.getpid())
        try:
            write(part)
            return settle(part, target, sha256)
        finally:
            part.unlink(missing_ok=True)


def remove_parts(data: Path) -> None:
    """Remove what a killed process left half-written in the category folders.

    Args:
        data: the folder of the categories; no other process may be writing there.
    """
    for part in data.glob(f"*/{_PART.format('*')}"):
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
