"""What people say of pictures: that one is of another category, left out, or not a mistake.

All of it stands in `corrections.csv` of the workspace, by the content of the pictures, and is read
on top of folders or `labels.csv`, so that no file is moved. A choice is a line that is added at the
end, and so is taking one back: nothing that was written is changed.
"""

import contextlib
import csv
import fcntl
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from retrain.data.records import Picture
from retrain.errors import DataError, MachineError
from retrain.files import ENCODE_ERRORS, append_synced, machine_errors
from retrain.progress import counted, one_line

CORRECTIONS = "corrections.csv"
COLUMNS = ("sha256", "name", "what", "category", "when")
# `taken back` takes back the last choice about this content that still stands.
What = Literal["other category", "left out", "not a mistake", "taken back"]
WHATS: tuple[What, ...] = get_args(What)
LONGEST = 70  # characters of a cell that are shown
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Correction:
    """One choice.

    sha256: of the picture's content, hex. name: its path in the data folder at that time.
    category: the picture's true one: another one, or the one that is not a mistake; "" where it is
        left out.
    when: UTC in ISO 8601; choices that were made together have the same.
    """

    sha256: str
    name: str
    what: What
    category: str = ""
    when: str = ""


@dataclass(frozen=True)
class Said:
    """What holds of one content.

    category: that it counts as; None for what folders or labels say.
    left_out: whether nothing learns from it, nor is judged by it.
    right: the category that a person confirmed; None where nobody did.
    """

    category: str | None = None
    left_out: bool = False
    right: str | None = None


@dataclass(frozen=True)
class Corrections:
    """All choices, in the order in which they were made.

    unreadable: what is wrong with each line that says nothing, as a crash or a person left it.
    """

    records: Sequence[Correction] = ()
    unreadable: Sequence[str] = ()

    @cached_property
    def standing(self) -> Sequence[Correction]:
        """The choices that were not taken back, in their order."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, record in enumerate(self.records):
            if record.what != "taken back":
                places[record.sha256].append(place)
            elif places[record.sha256]:
                places[record.sha256].pop()
        return [self.records[i] for i in sorted(i for own in places.values() for i in own)]

    @cached_property
    def said(self) -> dict[str, Said]:
        """What holds of each content, by its sha256."""
        found: dict[str, Said] = {}
        for one in self.standing:
            old = found.get(one.sha256, Said())
            if one.what == "left out":
                new = replace(old, left_out=True)
            elif one.what == "other category":
                new = Said(one.category, right=one.category)
            else:
                new = replace(old, left_out=False, right=one.category)
            found[one.sha256] = new
        return found

    def of(self, sha256: str) -> Said:
        """Return what holds of a content, which is nothing where nobody chose."""
        return self.said.get(sha256, Said())

    def is_right(self, sha256: str, category: str) -> bool:
        """Tell whether a person said that a content is of this category."""
        return self.of(sha256).right == category

    def last(self) -> list[Correction]:
        """Return the newest choices that stand, all that were made together; none without any."""
        standing = self.standing
        return [one for one in standing if one.when == standing[-1].when]


@dataclass(frozen=True)
class Corrected:
    """Pictures after corrections were laid over them.

    pictures: with their true categories, those that are left out gone.
    moved: pictures that count as another category than folders or labels say, as they were.
    left_out: pictures that are left out, as they were.
    """

    pictures: Sequence[Picture]
    moved: Sequence[Picture]
    left_out: Sequence[Picture]

    def in_words(self) -> str:
        """Say what changed, a sentence; "" where nothing did."""
        parts = []
        if self.moved:
            verb = "counts" if len(self.moved) == 1 else "count"
            parts.append(f"{counted(len(self.moved), 'picture')} {verb} as another category")
        if self.left_out:
            verb = "is" if len(self.left_out) == 1 else "are"
            parts.append(f"{counted(len(self.left_out), 'picture')} {verb} left out")
        return f"Corrections: {' and '.join(parts)} ({CORRECTIONS})." if parts else ""


def correct(pictures: Iterable[Picture], corrections: Corrections) -> Corrected:
    """Lay corrections over pictures; those of a content share what was said of it."""
    kept, moved, left_out = [], [], []
    for picture in pictures:
        said = corrections.of(picture.sha256)
        if said.left_out:
            left_out.append(picture)
        elif said.category in (None, picture.category):
            kept.append(picture)
        else:
            moved.append(picture)
            kept.append(replace(picture, category=said.category or ""))
    return Corrected(kept, moved, left_out)


def read_corrections(path: Path) -> Corrections:
    """Read all choices; none where there is no such file.

    Lines that are incomplete or unknown say nothing; what is wrong with them is kept.

    Raises:
        DataError: the file is another table.
        MachineError: the file is there, but cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Corrections()
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}.") from error
    return _parsed(content, path)


def add_corrections(path: Path, choices: Sequence[Correction]) -> list[Correction]:
    """Write choices down together; they are on disk when this returns.

    Args:
        path: of the file, which is made if it is missing.
        choices: their `when` is set here.

    Returns:
        The choices as they were written.

    Raises:
        DataError: the file is another table.
        MachineError: they cannot be written; then none of them is.
    """
    with _locked(path):
        return _add(path, choices)


def take_back_last(path: Path) -> list[Correction]:
    """Take back the newest choices, all that were made together.

    Returns:
        The choices that no longer stand; none where there were none.

    Raises:
        DataError, MachineError: as for `add_corrections`.
    """
    with _locked(path):
        last = read_corrections(path).last()
        _add(path, [replace(one, what="taken back") for one in last])
        return last


def _parsed(content: bytes, path: Path) -> Corrections:
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig", ENCODE_ERRORS), newline=""))
    found: list[Correction] = []
    unreadable: list[str] = []
    try:
        header = tuple(next(rows, COLUMNS))
        if header != COLUMNS:
            raise DataError(
                f"{path} must begin with the columns {','.join(COLUMNS)}. Received: "
                f"{','.join(header)!r}. Save it so, or move it away."
            )
        for cells in filter(None, rows):
            if wrong := _wrong(cells):
                unreadable.append(f"{CORRECTIONS} line {rows.line_num}: {wrong}")
            else:
                found.append(_choice(cells))
    except csv.Error as error:  # a quote that is not closed, and all that follows
        where = f"{CORRECTIONS} line {rows.line_num}"
        unreadable.append(f"{where}: what follows must be whole lines. Received: {error}.")
    return Corrections(found, unreadable)


def _wrong(cells: Sequence[str]) -> str:
    """Return what is wrong with a line, a sentence or two; "" where it says something."""
    if len(cells) != len(COLUMNS):
        return f"there must be {len(COLUMNS)} cells. Received: {len(cells)}."
    sha256, _, what, category, when = cells
    if not _SHA256.fullmatch(sha256):
        return f"sha256 must be 64 hexadecimal digits. Received: {_brief(sha256)}."
    if what not in WHATS:
        return f"what must be one of {', '.join(WHATS)}. Received: {_brief(what)}."
    if what in ("other category", "not a mistake") and not category:
        return f"{what!r} must come with a category. Received: none."
    return "" if when else "there must be a time in the column when. Received: none."


def _brief(cell: str) -> str:
    return repr(cell if len(cell) <= LONGEST else f"{cell[:LONGEST]}...")


def _choice(cells: Sequence[str]) -> Correction:
    """Return what a line says that nothing is wrong with."""
    sha256, name, said, category, when = cells
    return Correction(sha256, name, next(one for one in WHATS if one == said), category, when)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file beside this one; it waits for whoever holds it, who writes no more than lines."""
    with machine_errors(path), path.with_name(f".{path.name}.lock").open("a") as file:
        with contextlib.suppress(OSError):  # where a file system has no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _add(path: Path, choices: Sequence[Correction]) -> list[Correction]:
    if not choices:
        return []
    when = datetime.now(UTC).isoformat()
    made = [replace(one, when=when) for one in choices]
    content = path.read_bytes() if path.exists() else b""
    _parsed(content, path)  # refuses another table
    begin = _mended_end(content) if content else _rows([COLUMNS])
    rows = [(c.sha256, one_line(c.name), c.what, c.category, c.when) for c in made]
    append_synced(path, begin + _rows(rows))
    return made


def _rows(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(errors=ENCODE_ERRORS)


def _mended_end(content: bytes) -> bytes:
    """Return what ends a line that a crash cut short: a quote and a line break, if they lack."""
    quote = b'"' if content.count(b'"') % 2 else b""
    return quote + b"\r\n" if quote or not content.endswith(b"\n") else b""
