"""SRC: the folder whose pictures are sorted. It is only ever read."""

import os
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISDIR

from retrain.data.sources import visible_files
from retrain.errors import MachineError, UsageError


def absolute(path: Path) -> Path:
    """Return a path as results.csv names it: absolute, links kept."""
    return Path(os.path.abspath(path))  # noqa: PTH100 -- resolve() would follow links


def count_sources(source: Path, outside: Sequence[Path], recursive: bool) -> int:
    """Return how many files there are to guess.

    Args:
        source: SRC.
        outside: folders to be written to, which must not lie in it, nor it in them.
        recursive: whether sub-folders count.

    Raises:
        UsageError: SRC is no folder, or lies wrongly. MachineError: SRC cannot be listed.
    """
    if not source.is_dir():
        raise UsageError(f"SRC must be a folder of pictures. Received: {source}")
    if not os.access(source, os.R_OK | os.X_OK):
        raise MachineError(f"No permission to read {source}.")
    total, checked = 0, source
    _refuse_nested(source, source, outside)
    for path in visible_files(source, recursive):
        if path.parent != checked:
            checked = path.parent
            _refuse_nested(source, checked, outside)
        total += 1
    return total


def _refuse_nested(source: Path, folder: Path, outside: Sequence[Path]) -> None:
    real = folder.resolve()
    for other in outside:
        place = other.resolve()
        if place == real or place in real.parents or real in place.parents:
            raise UsageError(
                f"DEST must lie outside SRC and SRC outside DEST. Received: {source} and {other}"
            )


def folders(folder: Path) -> list[Path]:
    """Return the sub-folders of a folder, links to folders and hidden ones included."""
    with os.scandir(folder) as found:
        return [
            Path(entry)
            for entry in found
            if entry.is_dir(follow_symlinks=False)
            or (entry.is_symlink() and is_folder(Path(entry)))
        ]


def is_folder(path: Path) -> bool:
    """Tell whether a folder lies at a path; nothing that goes wrong is an error."""
    try:
        return S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False
