"""What is known of a sorted folder: a row a picture.

While work goes on, the rows stand in a hidden SQLite file, which a crash does not tear and which
leaves memory free however many there are. At the end `results.csv` and `results.json` are written
from it, and it goes; the next run starts from those.
"""

import contextlib
import csv
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from retrain.errors import MachineError
from retrain.workspace import ENCODE_ERRORS, atomic_writer, machine_errors, write_csv

CSV_NAME, JSON_NAME = "results.csv", "results.json"
DATABASE = ".results.sqlite"
SCHEMA_VERSION = 1  # of the file; raised when its tables change
# As names are made. No number looks like a score: it starts with 2 and has no zeros in front.
_NUMBERED = re.compile(r"(.*-[01]\.\d{5})(?:-(\d+))?(\.[^.]*)?", re.DOTALL)
_SCORE = re.compile(r"\d\.\d{5}")
_TABLES = """
create table pictures (
    source blob primary key,  -- bytes, as the file system has them
    name blob,                -- of the copy, without its number, as case-blind systems see it
    number integer,
    row text,                 -- JSON
    scores text               -- JSON
) without rowid;
create index names on pictures (name, number);
"""


@dataclass(frozen=True)
class Row:
    """One line of results.csv.

    source: absolute path. copy: its name in DEST, or its absolute path where it is set aside
    elsewhere; empty if there is none. run: of the model.
    """

    source: str
    copy: str
    category: str
    score: str
    error: str
    run: str


COLUMNS = tuple(entry.name for entry in fields(Row))


class Results:
    """The rows of one sorted folder."""

    def __init__(self, folder: Path) -> None:
        """Take up what an earlier run left: its database, or else its results.

        Raises:
            MachineError: nothing can be written there.
        """
        self._folder, self._path = folder, folder / DATABASE
        with self._refusals():
            try:
                self._connect()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:  # damaged: what it had is guessed again
                self._remove_database()
                self._connect()

    def find(self, source: str) -> Row | None:
        """Return what is known of a picture."""
        with self._refusals():
            found = self._database.execute(
                "select row from pictures where source = ?", (os.fsencode(source),)
            ).fetchone()
        return Row(*json.loads(found[0])) if found else None

    def put(self, row: Row, scores: dict[str, float]) -> None:
        """Note a picture, for good: a crash that follows does not lose it."""
        with self._refusals():
            self._insert(row, scores)

    def next_number(self, name: str) -> int:
        """Return one more than the highest number of copies with this name; 1 for the first."""
        with self._refusals():
            (highest,) = self._database.execute(
                "select max(number) from pictures where name = ?", (_blind(name),)
            ).fetchone()
        return (highest or 0) + 1

    def is_copy(self, copy: str) -> bool:
        """Tell whether a row has this copy."""
        name, number = name_and_number(copy)
        with self._refusals():
            found = self._database.execute(
                "select 1 from pictures where name = ? and number = ?", (_blind(name), number)
            ).fetchone()
        return found is not None

    def finish(self) -> None:
        """Write results.csv and results.json, sorted by source, and remove the database."""
        with self._refusals():
            write_csv(
                self._folder / CSV_NAME, COLUMNS, (astuple(row) for row, _ in self._in_order())
            )
            with (
                atomic_writer(self._folder / JSON_NAME) as part,
                part.open("w", encoding="utf-8", errors=ENCODE_ERRORS) as file,
            ):
                between = "{\n"
                for row, scores in self._in_order():
                    if not row.error:  # a line a picture: read back without holding them all
                        file.write(f"{between}{_json(row.source)}: {_json(scores)}")
                        between = ",\n"
                file.write("{}\n" if between == "{\n" else "\n}\n")
            self._database.close()
            self._remove_database()

    def _connect(self) -> None:
        # The folder is locked already, and some file systems know no locks.
        self._database = sqlite3.connect(
            f"{self._path.as_uri()}?nolock=1", uri=True, isolation_level=None
        )
        # Nobody else looks in: no need to ask the file system at each query whether somebody wrote.
        self._database.execute("pragma locking_mode = exclusive")
        # A killed process loses nothing by it; only a machine that loses power might.
        self._database.execute("pragma synchronous = off")
        self._database.execute("pragma journal_mode = persist")
        (version,) = self._database.execute("pragma user_version").fetchone()
        if version != SCHEMA_VERSION:
            self._database.executescript(f"drop table if exists pictures; {_TABLES}")
            self._database.execute("begin")
            for row, scores in _read_results(self._folder):
                self._insert(row, scores)
            self._database.execute(f"pragma user_version = {SCHEMA_VERSION}")
            self._database.execute("commit")
        elif self._database.execute("pragma quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")  # by a power failure, say

    def _insert(self, row: Row, scores: dict[str, float]) -> None:
        name, number = name_and_number(row.copy) if row.copy else ("", 0)
        self._database.execute(
            "insert or replace into pictures values (?, ?, ?, ?, ?)",
            (
                *(os.fsencode(row.source), _blind(name), number),
                *(json.dumps([*vars(row).values()]), json.dumps(scores)),
            ),
        )

    def _in_order(self) -> Iterator[tuple[Row, dict[str, float]]]:
        for row, scores in self._database.execute(
            "select row, scores from pictures order by source"
        ):
            yield Row(*json.loads(row)), json.loads(scores)

    def _remove_database(self) -> None:
        for path in (self._path, self._path.with_name(f"{DATABASE}-journal")):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Say what the machine refuses, in one way for files and for the database."""
        with machine_errors(self._folder):
            try:
                yield
            except sqlite3.OperationalError as error:
                full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
                reason = "The disk is full" if full else f"SQLite cannot write ({error})"
                raise MachineError(f"{reason}: {self._folder}. Free it and start again.") from error


def name_and_number(copy: str) -> tuple[str, int]:
    """Split a copy's name.

    >>> name_and_number("cat-0.99000.jpg"), name_and_number("cat-0.99000-2.jpg")
    (('cat-0.99000.jpg', 1), ('cat-0.99000.jpg', 2))
    """
    found = _NUMBERED.fullmatch(copy)
    if found is None:
        return copy, 1
    return f"{found[1]}{found[3] or ''}", int(found[2] or 1)


def _blind(name: str) -> bytes:
    """Return what two names have in common that are one on macOS and Windows."""
    return os.fsencode(name.casefold())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _read_results(folder: Path) -> Iterator[tuple[Row, dict[str, float]]]:
    """Yield what an earlier run wrote at its end; what is damaged is left out."""
    scores = sqlite3.connect("")  # on disk once it is large
    scores.execute("create table scores (source blob primary key, scores text)")
    with contextlib.suppress(OSError), (folder / JSON_NAME).open("rb") as file:
        for line in file:
            with contextlib.suppress(ValueError, AttributeError):
                text = line.decode("utf-8", ENCODE_ERRORS).strip().removesuffix(",")
                for source, values in json.loads(f"{{{text}}}").items():
                    scores.execute(
                        "insert or replace into scores values (?, ?)",
                        (os.fsencode(source), json.dumps(values)),
                    )
    with (
        contextlib.suppress(OSError, csv.Error),
        (folder / CSV_NAME).open(encoding="utf-8", errors=ENCODE_ERRORS, newline="") as file,
    ):
        for cells in csv.reader(file):
            if len(cells) == len(COLUMNS) and tuple(cells) != COLUMNS:
                row = Row(*cells)
                found = scores.execute(
                    "select scores from scores where source = ?", (os.fsencode(row.source),)
                ).fetchone()
                if row.error or (found and _SCORE.fullmatch(row.score)):
                    yield row, json.loads(found[0]) if found else {}
                else:  # to be guessed again, and its copy replaced
                    yield replace(row, run=""), {}
    scores.close()
