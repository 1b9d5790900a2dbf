"""Sorts a folder of pictures into copies named `<category>-<score>.<ext>`.

Beside the copies lie `results.csv` and `results.json`. Whatever stops the work, the next run finds
what is done and goes on.
"""

import contextlib
import csv
import errno
import fcntl
import io
import json
import os
import re
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import TextIO

from retrain.data.sources import visible_files
from retrain.errors import MachineError, UsageError
from retrain.infer.guess import Guess
from retrain.workspace import ENCODE_ERRORS, atomic_writer, machine_errors, write_csv, write_json

CSV_NAME, JSON_NAME = "results.csv", "results.json"
JOURNAL = ".results.jsonl"
COPIES_IN_FLIGHT = 32
# By Windows, the strictest; a dot in front would hide the file, and half a character has no UTF-8.
_FORBIDDEN = re.compile(r'^\.|[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
_PART = re.compile(r"\.(.+)\.part-\d+", re.DOTALL)  # as atomic_writer names them
_CLOCK = 2_000_000_000  # ns: FAT keeps times to two seconds
_CHUNK = 1 << 30  # bytes that one call copies at most
_LONGEST = 180  # bytes of a category in a name; file systems allow 255 for all


@dataclass(frozen=True)
class Row:
    """One line of results.csv. source: absolute path. copy: name in DEST. run: of the model."""

    source: str
    copy: str
    category: str
    score: str
    error: str
    run: str


COLUMNS = tuple(entry.name for entry in fields(Row))


@dataclass(frozen=True)
class Entry:
    """A row with the scores of all categories."""

    row: Row
    scores: dict[str, float]


def find_sources(source: Path, destination: Path, recursive: bool) -> list[Path]:
    """Return the files to guess, by name.

    Raises:
        UsageError: SRC is no folder, or one of the folders lies in the other.
    """
    if not source.is_dir():
        raise UsageError(f"SRC must be a folder of pictures. Received: {source}")
    inner = destination.resolve()
    with machine_errors(source):
        if recursive:
            paths = list(visible_files(source))
        else:
            paths = [path for path in sorted(source.iterdir()) if not path.name.startswith(".")]
        real = {folder.resolve() for folder in {source, *(path.parent for path in paths)}}
        if any(_nested(inner, place) for place in real):
            raise UsageError(
                "DEST must lie outside SRC and SRC outside DEST. "
                f"Received: {source} and {destination}"
            )
        # A broken link is listed as one; a pipe or a device would be waited for without end.
        return [path for path in paths if path.is_file() or not path.exists()]


def _nested(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


class SortedFolder:
    """DEST: which sources are done, where the next copy goes, what is written at the end.

    While work goes on, a hidden journal takes a line a picture; `results.csv` and `results.json`
    are written from it at the end, which also removes it.
    """

    def __init__(self, folder: Path, run: str, link: bool = False) -> None:
        """Open or make the folder.

        Args:
            folder: to hold the copies.
            run: name of the model's run; copies of other runs are replaced.
            link: make hard links where the file system can, not copies.

        Raises:
            UsageError: something else is in its place.
            MachineError: it cannot be made, or another process sorts into it.
        """
        self.folder, self.run, self._link = folder, run, link
        self._journal = folder / JOURNAL
        with machine_errors(folder):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError) as error:
                raise UsageError(f"DEST must be a folder. Received: {folder}") from error
            self._lock = _alone_in(folder)
            self._entries = dict(_read_results(folder)) | dict(_read_journal(self._journal))
            names = {entry.row.copy for entry in self._entries.values()}
            _remove_parts(folder, {*names, CSV_NAME, JSON_NAME})
            names.update(path.name for path in folder.iterdir())
            self._taken = {name.casefold() for name in names}
            self._numbers: dict[str, int] = {}  # where to look on among many of one name

    def is_done(self, source: Path) -> bool:
        """Tell whether this model's copy of this very file is there."""
        entry = self._entries.get(str(source))
        if entry is None or entry.row.run != self.run or entry.row.error:
            return False
        try:
            copy, original = (self.folder / entry.row.copy).stat(), source.stat()
        except OSError:
            return False
        same_time = abs(copy.st_mtime_ns - original.st_mtime_ns) < _CLOCK
        return same_time and copy.st_size == original.st_size

    def add_all(self, guesses: Iterable[Guess]) -> Iterator[Row]:
        """Copy each guess as it comes, and yield its row; copying overlaps with guessing.

        Raises:
            MachineError: the disk is full, or DEST is not writable.
        """
        waiting: deque[Future[Row]] = deque()
        with (
            machine_errors(self.folder),
            self._journal.open("a", encoding="utf-8", errors=ENCODE_ERRORS) as journal,
            ThreadPoolExecutor(1) as copier,
        ):
            try:
                for guess in guesses:
                    row = self._planned(guess)
                    self._record(row, guess, journal)
                    waiting.append(copier.submit(self._copied, row, journal))
                    while waiting[0].done() or len(waiting) > COPIES_IN_FLIGHT:
                        yield waiting.popleft().result()
                        if not waiting:
                            break
                while waiting:
                    yield waiting.popleft().result()
            finally:
                copier.shutdown(cancel_futures=True)

    def finish(self) -> None:
        """Write results.csv and results.json, sorted by source; drop the journal and the lock."""
        entries = [entry for _, entry in sorted(self._entries.items())]
        with machine_errors(self.folder):
            write_csv(self.folder / CSV_NAME, COLUMNS, (astuple(entry.row) for entry in entries))
            scores = {entry.row.source: entry.scores for entry in entries if not entry.row.error}
            write_json(self.folder / JSON_NAME, scores)
            self._journal.unlink(missing_ok=True)
        os.close(self._lock)

    def _planned(self, guess: Guess) -> Row:
        source = str(guess.path)
        self._remove_old_copy(source)
        if guess.error is not None:
            return Row(source, "", "", "", guess.error, self.run)
        category, score = guess.scores[0]
        name = self._free_name(f"{safe_name(category)}-{score:.5f}", guess.extension)
        return Row(source, name, category, f"{score:.5f}", "", self.run)

    def _record(self, row: Row, guess: Guess, journal: TextIO) -> None:
        """Note the row before the copy takes its name: a copy without a row would be orphaned."""
        entry = Entry(row, dict(guess.scores))
        self._entries[row.source] = entry
        journal.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
        journal.flush()

    def _copied(self, row: Row, journal: TextIO) -> Row:
        """Copy in the background; a source that vanished meanwhile becomes a failed row."""
        if row.error:
            return row
        try:
            with atomic_writer(self.folder / row.copy) as part:
                if not (self._link and _linked(row.source, part)):
                    _copy(row.source, part)
        except FileNotFoundError as error:
            row = Row(row.source, "", "", "", error.strerror or str(error), self.run)
            self._record(row, Guess(Path(row.source)), journal)
        return row

    def _free_name(self, stem: str, suffix: str) -> str:
        first = f"{stem}{suffix}"
        number = self._numbers.get(first, 1)
        name = first if number == 1 else f"{stem}-{number}{suffix}"
        while name.casefold() in self._taken:  # two names may be one on macOS and Windows
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(name.casefold())
        self._numbers[first] = number
        return name

    def _remove_old_copy(self, source: str) -> None:
        old = self._entries.pop(source, None)
        if old and old.row.copy:
            (self.folder / Path(old.row.copy).name).unlink(missing_ok=True)
            self._taken.discard(old.row.copy.casefold())


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


def _alone_in(folder: Path) -> int:
    """Lock a folder until the returned descriptor is closed; the kernel does so after a crash."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise MachineError(f"Another guess-dir sorts into {folder}. Wait for it.") from None
    except OSError:  # some network file systems cannot lock a folder
        pass
    return lock


def _remove_parts(folder: Path, names: set[str]) -> None:
    """Delete what a killed run left half-written of its own files."""
    for path in list(folder.iterdir()):
        part = _PART.fullmatch(path.name)
        if part and part[1] in names:
            path.unlink()


def _read_results(folder: Path) -> Iterator[tuple[str, Entry]]:
    """Yield what an earlier run wrote at its end; rows that are damaged are guessed anew."""
    try:
        scores = dict(json.loads((folder / JSON_NAME).read_bytes().decode("utf-8", ENCODE_ERRORS)))
        text = (folder / CSV_NAME).read_bytes().decode("utf-8", ENCODE_ERRORS)
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except (OSError, ValueError, TypeError, csv.Error):
        return
    for values in rows:
        if len(values) == len(COLUMNS) and tuple(values) != COLUMNS:
            row = Row(*values)
            if row.error or row.source in scores:
                yield row.source, Entry(row, scores.get(row.source, {}))


def _read_journal(path: Path) -> Iterator[tuple[str, Entry]]:
    """Yield what an interrupted run had done; a torn last line is left out."""
    with contextlib.suppress(OSError):
        for line in path.read_text("utf-8", ENCODE_ERRORS).split("\n"):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                values = json.loads(line)
                yield values["row"]["source"], Entry(Row(**values["row"]), values["scores"])


def absolute(path: Path) -> Path:
    """Return a path as results.csv names it: absolute, links kept."""
    return Path(os.path.abspath(path))  # noqa: PTH100 -- resolve() would follow links
