"""The pictures of a run's split, told by their content: files move, and others take their place."""

import contextlib
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrain.data.images import BadPicture, read_bytes
from retrain.data.sources import visible_files
from retrain.progress import Reporter
from retrain.split_rows import SplitRow


@dataclass(frozen=True)
class FoundAgain:
    """Where pictures of a split are now, by their names then; and why others are not."""

    paths: Mapping[str, Path]
    missing: Mapping[str, str]


def shared(rows: Sequence[SplitRow], others: Sequence[SplitRow]) -> list[SplitRow]:
    """Return the rows whose pictures are among the others, too: by content, else by name."""
    contents = {row.sha256 for row in others} - {""}
    names = {row.name: row.sha256 for row in others}
    return [
        row
        for row in rows
        if row.sha256 in contents or (row.name in names and not (row.sha256 and names[row.name]))
    ]


def digest(path: Path) -> str:
    """Return the sha256 of a file's content, hex.

    Raises:
        BadPicture: it cannot be read.
    """
    return hashlib.sha256(read_bytes(path)).hexdigest()


def find_again(rows: Sequence[SplitRow], data: Path, report: Reporter) -> FoundAgain:
    """Find pictures by their content: where they were, else anywhere in the data folder.

    Args:
        rows: of a split; what has no sha256 is trusted to be what it was.
        data: the workspace's data folder.
        report: shows progress.
    """
    paths: dict[str, Path] = {}
    missing: dict[str, str] = {}
    lost: dict[str, list[str]] = {}
    with report.bar("finding pictures", len(rows)) as advance:
        for row in rows:
            reason = _changed(data / row.name, row.sha256)
            if reason is None:
                paths[row.name] = data / row.name
            else:
                missing[row.name] = reason
                lost.setdefault(row.sha256, []).append(row.name)
            advance(1)
    lost.pop("", None)
    if lost:
        for sha256, path in _contents(data, set(paths.values()), report):
            if names := lost.get(sha256):
                name = names.pop()
                paths[name] = path
                del missing[name]
            if not any(lost.values()):
                break
    return FoundAgain(paths, missing)


def _changed(path: Path, sha256: str) -> str | None:
    """Return what happened to a file, None if it holds what it held."""
    try:
        same = digest(path) == sha256 or not sha256
    except BadPicture as error:
        gone = isinstance(error.__cause__, FileNotFoundError) and not path.is_symlink()
        return "no longer there; train again to split anew" if gone else str(error)
    return None if same else "another picture took its place; train again to split anew"


def _contents(data: Path, taken: Collection[Path], report: Reporter) -> Iterator[tuple[str, Path]]:
    """Yield the sha256 of each other file in the data folder that can be read, and its path."""
    paths = [path for path in visible_files(data) if path not in taken]
    with report.bar("looking for moved pictures", len(paths)) as advance:
        for path in paths:
            with contextlib.suppress(BadPicture):
                yield digest(path), path
            advance(1)
