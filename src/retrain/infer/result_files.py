"""results.csv and results.json, read and written: what people see of a sorted folder's rows.

results.csv is read by its header, as people and spreadsheets leave it: UTF-8 with or without a byte
order mark, comma or semicolon, columns in any order, and columns of the user's own, which stay.
"""

import contextlib
import csv
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrain.errors import MachineError, UsageError
from retrain.files import ENCODE_ERRORS, atomic_writer, write_csv
from retrain.infer.rows import COLUMNS, FIRST_COLUMNS, Row

CSV_NAME, JSON_NAME = "results.csv", "results.json"
Scores = dict[str, float]
_TEXT = r'"(?:[^"\\]|\\.)*"'
# An absolute path with an object of numbers, or nothing at all.
_OWN_JSON = re.compile(
    rf'\s*(?:\{{\s*(?:\}}|"/(?:[^"\\]|\\.)*"\s*:\s*\{{\s*{_TEXT}\s*:\s*[\d.])|\Z)', re.DOTALL
)
_MISSING = (FileNotFoundError, NotADirectoryError)
_HEAD = 1 << 16  # bytes of a file that tell what it is


def refuse_foreign(folder: Path) -> None:
    """Make sure that nothing is overwritten which somebody else wrote.

    Raises:
        UsageError: results.csv or results.json is another program's.
        MachineError: one of them cannot be read.
    """
    Table(folder)
    head = _head(folder / JSON_NAME)
    if not _OWN_JSON.match(head):
        raise _foreign(folder / JSON_NAME, head)


class Table:
    """results.csv as it lies there, or none."""

    def __init__(self, folder: Path) -> None:
        """Read the header.

        Raises:
            UsageError: it is another program's. MachineError: it cannot be read.
        """
        self._path = folder / CSV_NAME
        head = _head(self._path)
        first = head.split("\n", 1)[0] if head.strip() else ",".join(COLUMNS)
        self._delimiter = ";" if first.count(";") > first.count(",") else ","
        header = next(csv.reader([first], delimiter=self._delimiter), [])
        self._names = [name.strip() for name in header]
        found = [name.lower() for name in self._names]
        self._own = {name: found.index(name) for name in COLUMNS if name in found}
        if not self._own.keys() >= set(FIRST_COLUMNS):
            raise _foreign(self._path, head)

    def rows(self) -> Iterator[tuple[Row, list[str]]]:
        """Yield each row with the cells of the user's own columns; what is damaged is left out."""
        own = set(self._own.values())
        for cells in self._lines():
            known = {name: cells[i] for name, i in self._own.items() if i < len(cells)}
            if known.get("source"):
                yield Row(**known), [cell for i, cell in enumerate(cells) if i not in own]

    def layout(self) -> "Layout":
        """Return the columns that it is to have when it is written again."""
        width = max(map(len, self._lines()), default=0)  # a note may stand where no name does
        names = [*self._names, *[""] * (width - len(self._names))]
        places = {i: name for name, i in self._own.items()}
        columns = [(places.get(i, name), i in places) for i, name in enumerate(names)]
        return Layout((*columns, *((name, True) for name in COLUMNS if name not in self._own)))

    def _lines(self) -> Iterator[list[str]]:
        """Yield the lines below the header, as far as they can be read."""
        with (
            contextlib.suppress(*_MISSING, csv.Error),
            _refusals(self._path),
            self._path.open(encoding="utf-8-sig", errors=ENCODE_ERRORS, newline="") as file,
        ):
            lines = csv.reader(file, delimiter=self._delimiter)
            next(lines, None)
            yield from lines


@dataclass(frozen=True)
class Layout:
    """The columns of results.csv in their order: each one's name, and whether it is ours."""

    columns: tuple[tuple[str, bool], ...]

    def line(self, row: Row, others: Sequence[str]) -> list[str]:
        """Return the cells of a row; `others` are those of the user's columns."""
        rest = iter(others)
        return [getattr(row, name) if own else next(rest, "") for name, own in self.columns]


def read_results(folder: Path) -> Iterator[tuple[Row, Scores]]:
    """Yield what an earlier run wrote at its end; what is damaged is left out."""
    with contextlib.closing(sqlite3.connect("")) as kept:  # on disk once it is large
        kept.execute("create table scores (source blob primary key, scores text)")
        for source, scores in _read_scores(folder / JSON_NAME):
            kept.execute(
                "insert or replace into scores values (?, ?)",
                (os.fsencode(source), json.dumps(scores)),
            )
        for row, _ in Table(folder).rows():
            found = kept.execute(
                "select scores from scores where source = ?", (os.fsencode(row.source),)
            ).fetchone()
            scores = json.loads(found[0]) if found else {}
            yield _settled(row, scores), scores


def write_results(
    folder: Path,
    layout: Layout,
    rows: Callable[[], Iterable[tuple[Row, Scores, list[str]]]],
) -> None:
    """Write both files.

    Args:
        folder: DEST.
        layout: the columns of results.csv.
        rows: gives them in order, with scores and the cells of the user's columns; asked twice.
    """
    header = tuple(name for name, _ in layout.columns)
    write_csv(folder / CSV_NAME, header, (layout.line(row, others) for row, _, others in rows()))
    with (
        atomic_writer(folder / JSON_NAME) as part,
        part.open("w", encoding="utf-8", errors=ENCODE_ERRORS) as file,
    ):
        between = "{\n"
        for row, scores, _ in rows():
            if not row.error:  # a line a picture: read back without holding them all
                file.write(f"{between}{_json(row.source)}: {_json(scores)}")
                between = ",\n"
        file.write("{}\n" if between == "{\n" else "\n}\n")


def _settled(row: Row, scores: Scores) -> Row:
    """Undo what a spreadsheet does to a score; what cannot be trusted is to be guessed again."""
    if row.error:
        return row
    # A spreadsheet makes of 0.90000 a 0.9, or a 0,9.
    if not scores or not _share(row.score) or (row.familiar and not _share(row.familiar)):
        return replace(row, run="", familiar="")
    score = f"{max(scores.values()):.5f}"
    return replace(row, score=score, familiar=_share(row.familiar))


def _share(cell: str) -> str:
    """Write a share as a row has it; "" for what is none.

    >>> _share("0,9"), _share("1.2"), _share("")
    ('0.90000', '', '')
    """
    try:
        given = float(cell.replace(",", "."))
    except ValueError:
        return ""
    return f"{given:.5f}" if 0 <= given <= 1 else ""


def _read_scores(path: Path) -> Iterator[tuple[str, Scores]]:
    """Yield what results.json says, a line a picture as it was written, or in any other layout."""
    found = False
    with contextlib.suppress(*_MISSING), _refusals(path), path.open("rb") as file:
        for line in file:
            text = line.decode("utf-8", ENCODE_ERRORS).strip().removesuffix(",")
            for entry in _entries(f"{{{text}}}"):
                found = True
                yield entry
        if not found:
            file.seek(0)
            yield from _entries(file.read().decode("utf-8-sig", ENCODE_ERRORS))


def _entries(text: str) -> Iterator[tuple[str, Scores]]:
    with contextlib.suppress(ValueError, AttributeError):
        for source, scores in json.loads(text).items():
            if all(isinstance(score, float | int) for score in scores.values()):
                yield source, scores


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _head(path: Path) -> str:
    """Return how a file starts; "" where there is none."""
    with contextlib.suppress(*_MISSING), _refusals(path), path.open("rb") as file:
        return file.read(_HEAD).decode("utf-8-sig", ENCODE_ERRORS)
    return ""


def _foreign(path: Path, head: str) -> UsageError:
    columns = f" with the columns {','.join(FIRST_COLUMNS)}" if path.name == CSV_NAME else ""
    return UsageError(
        f"{path.name} in DEST must be one that guess-dir wrote{columns}. Received: {path}, which "
        f"starts with {head.strip()[:40]!r}. Move it away, or choose another DEST."
    )


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except _MISSING:
        raise
    except IsADirectoryError:
        raise UsageError(f"{path} must be a file. Move the folder away.") from None
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror or error}.") from error
