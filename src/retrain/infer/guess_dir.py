"""Sorts a folder of pictures into copies named `<category>-<score>.<ext>`.

Beside the copies lie `results.csv` and `results.json`. Whatever stops the work, the next run finds
what is done and goes on.
"""

import errno
import fcntl
import os
import re
import shutil
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path

from retrain.data.sources import visible_files
from retrain.errors import MachineError, UsageError
from retrain.infer.guess import Guess
from retrain.infer.results import CSV_NAME, JSON_NAME, Results, Row, name_and_number
from retrain.workspace import atomic_writer, machine_errors

COPIES_IN_FLIGHT = 32
# By Windows, the strictest; a dot in front would hide the file, and half a character has no UTF-8.
_FORBIDDEN = re.compile(r'^\.|[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
_PART = re.compile(r"\.(.+)\.part-\d+", re.DOTALL)  # as atomic_writer names them
_CLOCK = 2_000_000_000  # ns: FAT keeps times to two seconds
_CHUNK = 1 << 30  # bytes that one call copies at most
_LONGEST = 180  # bytes of a category in a name; file systems allow 255 for all


def count_sources(source: Path, outside: Sequence[Path], recursive: bool) -> int:
    """Return how many files there are to guess.

    Args:
        source: SRC.
        outside: folders to be written to, which must not lie in it, nor it in them.
        recursive: whether sub-folders count.

    Raises:
        UsageError: SRC is no folder, or lies wrongly.
    """
    if not source.is_dir():
        raise UsageError(f"SRC must be a folder of pictures. Received: {source}")
    if not os.access(source, os.R_OK | os.X_OK):
        raise MachineError(f"No permission to read {source}.")
    total, checked = 0, source
    with machine_errors(source):
        _refuse_nested(source, source, outside)
        for path in sources(source, recursive):
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


def sources(source: Path, recursive: bool) -> Iterator[Path]:
    """Yield the files to guess, by name; of a large folder the names alone are in memory."""
    for path in visible_files(source, recursive):
        # A broken link is listed as one; a pipe or a device would be waited for without end.
        if path.is_file() or not path.exists():
            yield path


class SortedFolder:
    """DEST: which sources are done, where the next copy goes, what is written at the end.

    left_behind: copies of earlier runs that now belong elsewhere, by the folder where they stay.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        link: bool = False,
        min_score: float = 0.0,
        unsure: Path | None = None,
    ) -> None:
        """Open or make the folder.

        Args:
            folder: to hold the copies, absolute.
            run: name of the model's run; copies of other runs are replaced.
            link: make hard links where the file system can, not copies.
            min_score: pictures whose best score is lower go to `unsure`.
            unsure: another folder, absolute.

        Raises:
            UsageError: something else is in its place, or both are one.
            MachineError: it cannot be made, or another process sorts into it.
        """
        self.folder, self.run, self._link = folder, run, link
        self._min_score, self._unsure = min_score, unsure or folder
        if unsure is not None and unsure.resolve() == folder.resolve():
            raise UsageError(f"--unsure must be another folder than DEST. Received: {unsure}")
        self.left_behind: Counter[Path] = Counter()
        self._places = {self._unsure: "--unsure", folder: "DEST"}
        self._locks = [_made_and_locked(place, name) for place, name in self._places.items()]
        self._results = Results(folder)
        for place in self._places:
            with machine_errors(place):
                self._remove_parts(place)

    def is_done(self, source: Path) -> bool:
        """Tell whether this model's copy of this very file is there, where it now belongs."""
        row = self._results.find(str(source))
        if row is None or row.run != self.run or row.error:
            return False
        copy = self.folder / row.copy
        if copy.parent != self._place(row.score):
            return False
        try:
            there, original = copy.stat(), source.stat()
        except OSError:
            return False
        same_time = abs(there.st_mtime_ns - original.st_mtime_ns) < _CLOCK
        return same_time and there.st_size == original.st_size

    def is_unsure(self, row: Row) -> bool:
        """Tell whether a picture is set aside."""
        return bool(row.score) and float(row.score) < self._min_score

    def add_all(self, guesses: Iterable[Guess]) -> Iterator[Row]:
        """Copy each guess as it comes, and yield its row; copying overlaps with guessing.

        Raises:
            MachineError: the disk is full, or DEST is not writable.
        """
        waiting: deque[tuple[Row, Future[Row]]] = deque()
        with machine_errors(self.folder), ThreadPoolExecutor(1) as copier:
            try:
                for guess in guesses:
                    row = self._planned(guess)
                    # Before the copy takes its name: a copy without a row would be orphaned.
                    self._results.put(row, dict(guess.scores))
                    waiting.append((row, copier.submit(self._copied, row)))
                    while waiting and (waiting[0][1].done() or len(waiting) > COPIES_IN_FLIGHT):
                        yield self._noted(*waiting.popleft())
                while waiting:
                    yield self._noted(*waiting.popleft())
            finally:
                copier.shutdown(cancel_futures=True)

    def finish(self) -> None:
        """Write results.csv and results.json, sorted by source; let go of the lock."""
        self._results.finish()
        for lock in self._locks:
            os.close(lock)

    def _place(self, score: str) -> Path:
        return self._unsure if float(score) < self._min_score else self.folder

    def _planned(self, guess: Guess) -> Row:
        source = str(guess.path)
        old = self._remove_old_copy(source)
        if guess.error is not None:
            return Row(source, "", "", "", guess.error, self.run)
        category, probability = guess.scores[0]
        score = f"{probability:.5f}"
        place = self._place(score)
        # A copy in DEST is known by its name, so that DEST can move.
        start = "" if place == self.folder else f"{place}{os.sep}"
        copy = self._free_name(f"{start}{safe_name(category)}-{score}", guess.extension, old)
        return Row(source, copy, category, score, "", self.run)

    def _free_name(self, stem: str, suffix: str, old: str) -> str:
        name, first = name_and_number(old)
        if name != f"{stem}{suffix}":
            first = self._results.next_number(f"{stem}{suffix}")
        for number in count(first):
            name = f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}"
            if not os.path.lexists(self.folder / name):  # a file of the user's
                return name
        raise AssertionError("count() ends")

    def _copied(self, row: Row) -> Row:
        """Copy in the background; a source that vanished meanwhile becomes a failed row."""
        if row.error:
            return row
        try:
            with atomic_writer(self.folder / row.copy) as part:
                if not (self._link and _linked(row.source, part)):
                    _copy(row.source, part)
        except FileNotFoundError as error:
            return Row(row.source, "", "", "", error.strerror or str(error), self.run)
        return row

    def _noted(self, planned: Row, copying: Future[Row]) -> Row:
        row = copying.result()
        if row is not planned:
            self._results.put(row, {})
        return row

    def _remove_old_copy(self, source: str) -> str:
        """Make room for a new copy; return the old one's name, which is free now."""
        old = self._results.find(source)
        if old is None or not old.copy:
            return ""
        copy = self.folder / old.copy
        if copy.parent not in self._places:  # another --unsure, or whatever a file says
            if copy.exists():
                self.left_behind[copy.parent] += 1
            return ""
        copy.unlink(missing_ok=True)
        return old.copy

    def _remove_parts(self, place: Path) -> None:
        """Delete what a killed run left half-written of its own files."""
        start = "" if place == self.folder else f"{place}{os.sep}"
        with os.scandir(place) as found:
            parts = [part for entry in found if (part := _PART.fullmatch(entry.name))]
        for part in parts:
            if part[1] in (CSV_NAME, JSON_NAME) or self._results.is_copy(f"{start}{part[1]}"):
                (place / part[0]).unlink()


def _linked(source: str, target: Path) -> bool:
    """Make a hard link to the file itself; False where the file system has none to give."""
    try:
        target.hardlink_to(Path(source).resolve(strict=True))
    except FileNotFoundError:
        raise  # as a copy would
    except OSError:  # another file system, or one without links
        return False
    return True


def _copy(source: str, target: Path) -> None:
    """Copy content, times and permissions; file systems that can share blocks do."""
    with open(source, "rb") as reading, target.open("wb") as writing:  # noqa: PTH123 - any bytes
        try:
            while os.copy_file_range(reading.fileno(), writing.fileno(), _CHUNK):
                pass
        except (AttributeError, OSError) as error:  # macOS; file systems that cannot
            if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
                raise
            reading.seek(0)
            writing.seek(0)
            shutil.copyfileobj(reading, writing)
    shutil.copystat(source, target)


def safe_name(category: str) -> str:
    """Return a category as a part of a file name that every file system takes.

    >>> safe_name("../../x"), safe_name("a/b: c?"), safe_name(".")
    ('_._.._x', 'a_b_ c_', '_')
    """
    name = _FORBIDDEN.sub("_", category.strip())
    return name.encode()[:_LONGEST].decode(errors="ignore") or "_"


def _made_and_locked(folder: Path, name: str) -> int:
    """Lock a folder until the returned descriptor is closed; the kernel does so after a crash."""
    with machine_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder, os.O_RDONLY)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"{name} must be a folder. Received: {folder}") from error
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MachineError(f"Another guess-dir sorts into {folder}. Wait for it.") from None
    except OSError:  # some network file systems cannot lock a folder
        pass
    return lock


def absolute(path: Path) -> Path:
    """Return a path as results.csv names it: absolute, links kept."""
    return Path(os.path.abspath(path))  # noqa: PTH100 -- resolve() would follow links
