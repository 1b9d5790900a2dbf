"""Files that were moved, written down before each move, so that every step can be taken back.

A line a move, in JSON, in `applied.jsonl` of the workspace. A move that a crash prevented, and one
that was taken back, are told by where the file is.
"""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from retrain.files import append_synced, file_digest, sync_folder

JOURNAL = "applied.jsonl"


@dataclass(frozen=True)
class Move:
    """One file. source, target: relative to the workspace. sha256: of its content, hex.

    made: the topmost folder that was made for it, relative to the workspace; "" for none.
    """

    source: str
    target: str
    sha256: str
    made: str = ""


class Journal:
    """The steps of one workspace, held by the caller; a step is what was moved together."""

    def __init__(self, root: Path) -> None:
        self._root, self._path = root, root / JOURNAL
        self._steps: dict[int, list[Move]] = {}
        last = 0
        for entry in _entries(self._path):
            last = max(last, entry["step"])
            if "undone" in entry:
                self._steps.pop(entry["step"], None)
            else:
                move = Move(entry["from"], entry["to"], entry["sha256"], entry.get("made", ""))
                self._steps.setdefault(entry["step"], []).append(move)
        self._next = last + 1

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever moved."""
        return self._next == 1

    def steps(self) -> list[int]:
        """Return the numbers of the steps that can be taken back, the oldest first."""
        return sorted(self._steps)

    def move(self, step: int, source: Path, target: Path, sha256: str) -> Move:
        """Move a file, having written that down.

        Args:
            step: its number; see `new_step`.
            source: where it lies, in the workspace.
            target: where it goes; nothing lies there, and folders are made.
            sha256: of its content.

        Raises:
            OSError: it cannot be moved; then it lies where it lay.
        """
        made = _first_missing(target.parent)
        move = Move(
            self._relative(source),
            self._relative(target),
            sha256,
            self._relative(made) if made else "",
        )
        line = {
            "step": step,
            "from": move.source,
            "to": move.target,
            "sha256": sha256,
            "made": move.made,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._append(line)
        self._steps.setdefault(step, []).append(move)
        target.parent.mkdir(parents=True, exist_ok=True)
        move_file(source, target)
        return move

    def new_step(self) -> int:
        """Return the number of a step that begins."""
        self._next += 1
        return self._next - 1

    def take_back(self, step: int) -> tuple[list[Move], list[tuple[Move, str]]]:
        """Bring all files of a step back to where they were.

        Returns:
            The moves that were taken back, and those that could not be, with the reason.

        Raises:
            OSError: a file cannot be moved; what is done so far stays done, and the same call goes
                on from there.
        """
        back, failed = [], []
        for move in reversed(self._steps[step]):
            source, target = self._root / move.source, self._root / move.target
            reason = _put_back(source, target, move.sha256)
            if reason == "":
                back.append(move)
            elif reason is not None:
                failed.append((move, reason))
            if move.made:
                _remove_empty(self._root / move.made)
        if not failed:  # what is put right may be tried again
            when = datetime.now(UTC).isoformat(timespec="seconds")
            self._append({"step": step, "undone": when})
            del self._steps[step]
        return back, failed

    def _append(self, line: dict[str, object]) -> None:
        torn = self._path.exists() and not self._path.read_bytes().endswith(b"\n")
        append_synced(self._path, (b"\n" if torn else b"") + json.dumps(line).encode() + b"\n")

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    lines: Sequence[bytes] = path.read_bytes().splitlines() if path.exists() else ()
    for line in lines:
        with contextlib.suppress(ValueError):  # cut short by a crash, before anything was moved
            yield json.loads(line)


def move_file(source: Path, target: Path) -> None:
    """Move a file, or a link, to where nothing is; to another disk, too.

    Raises:
        OSError: it cannot be moved; then it lies where it lay.
    """
    if source.is_symlink():
        leads_to = source.readlink()
        if not leads_to.is_absolute():
            leads_to = Path(os.path.relpath(source.parent / leads_to, target.parent))
        target.symlink_to(leads_to)
        source.unlink()
        return
    try:
        source.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(f".{target.name}.part-{os.getpid()}")
        try:
            shutil.copy2(source, part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.rename(target)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(target.parent)
        source.unlink()


def _put_back(source: Path, target: Path, sha256: str) -> str | None:
    """Bring a file back; return "", None where it never left, or why it cannot be brought back."""
    there, here = _holds(target, sha256), _holds(source, sha256)
    if here and there:  # a crash came between copying and deleting
        target.unlink()
        return ""
    if here:
        return None
    if not there:
        return "it is no longer where it was put" if not target.exists() else "it was changed since"
    if os.path.lexists(source):
        return "another file took its old place"
    source.parent.mkdir(parents=True, exist_ok=True)
    move_file(target, source)
    return ""


def _holds(path: Path, sha256: str) -> bool:
    try:
        return file_digest(path) == sha256
    except OSError:
        return False


def _first_missing(folder: Path) -> Path | None:
    missing = None
    while not folder.exists():
        missing, folder = folder, folder.parent
    return missing


def _remove_empty(folder: Path) -> None:
    """Remove a folder that holds nothing but empty folders."""
    if not folder.is_dir():
        return
    for place, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # something is in it
            Path(place).rmdir()
