"""What is known of a sorted folder: a row a picture.

While work goes on, the rows stand in a hidden SQLite file, which a crash does not tear and which
leaves memory free however many there are. At the end `results.csv` and `results.json` are written
from it, and it goes; the next run starts from those.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrain.errors import MachineError
from retrain.files import machine_errors
from retrain.infer.names import blind, name_and_number
from retrain.infer.result_files import Scores, Table, read_results, write_results
from retrain.infer.rows import Row

DATABASE = ".results.sqlite"
SCHEMA_VERSION = 3  # of the file; raised when its tables or the cells of its rows change
_TABLES = (
    """
create table pictures (
    source blob primary key,  -- bytes, as the file system has them
    name blob,                -- of the copy, without its number, as case-blind systems see it
    number integer,
    copy blob,                -- with its number, as case-blind systems see it
    row text,                 -- JSON
    scores text,              -- JSON
    replaced text,            -- JSON: the row whose copy goes once this row's is there; or null
    others text               -- JSON: the cells of the user's columns; or null
) without rowid""",
    "create index names on pictures (name, number)",
    "create index copies on pictures (copy)",
)
_PAGE = 1000  # rows in memory while one after the other is looked at


class Results:
    """The rows of one sorted folder."""

    def __init__(self, folder: Path) -> None:
        """Take up what an earlier run left: its database, or else its results.

        Raises:
            MachineError: nothing can be written there, or a later version has begun.
            UsageError: the results are another program's.
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
        found = self._one("select row from pictures where source = ?", os.fsencode(source))
        return _row(found) if found else None

    def scores(self, source: str) -> Scores:
        """Return a picture's probabilities by category, best first; empty without a guess."""
        found = self._one("select scores from pictures where source = ?", os.fsencode(source))
        scores: Scores = json.loads(found) if found else {}
        return dict(sorted(scores.items(), key=lambda entry: -entry[1]))

    def put(self, row: Row, scores: Scores, replaced: Row | None = None) -> None:
        """Note a picture, for good: a crash that follows does not lose it.

        Args:
            row: what is known now.
            scores: of all categories.
            replaced: what was known before, if its copy goes once the new one is there.
        """
        with self._refusals():
            self._insert(row, scores, replaced)

    def note(self, row: Row) -> None:
        """Note news of a picture whose scores stay; no copy waits to be replaced any more."""
        with self._refusals():
            self._database.execute(
                "update pictures set name = ?, number = ?, copy = ?, row = ?, replaced = null "
                "where source = ?",
                (*_copy_cells(row), _cells(row), os.fsencode(row.source)),
            )

    def forget(self, source: str) -> None:
        """Drop a picture's row."""
        with self._refusals():
            self._database.execute("delete from pictures where source = ?", (os.fsencode(source),))

    def below(self, folder: Path) -> Iterator[Row]:
        """Yield the rows of all sources below a folder; they may be changed meanwhile."""
        start = os.fsencode(os.path.join(folder, ""))  # noqa: PTH118 - with a slash at the end
        last, end = start, start[:-1] + b"0"  # which follows the slash
        while True:
            with self._refusals():
                page = self._database.execute(
                    "select source, row from pictures where source > ? and source < ? "
                    "order by source limit ?",
                    (last, end, _PAGE),
                ).fetchall()
            for source, row in page:
                last = source
                yield _row(row)
            if not page:
                return

    def replacing(self) -> list[tuple[Row, Row]]:
        """Return the rows whose copy an interrupted run was making, with those before them."""
        with self._refusals():
            found = self._database.execute(
                "select row, replaced from pictures where replaced is not null"
            ).fetchall()
        return [(_row(row), _row(replaced)) for row, replaced in found]

    def next_number(self, name: str) -> int:
        """Return one more than the highest number of copies with this name; 1 for the first."""
        highest: int | None = self._one(
            "select max(number) from pictures where name = ?", blind(name)
        )
        return (highest or 0) + 1

    def is_copy(self, copy: str, but_of: str = "") -> bool:
        """Tell whether a row has this copy, one source's left out."""
        statement = "select 1 from pictures where copy = ? and source <> ?"
        return self._one(statement, blind(copy), os.fsencode(but_of)) is not None

    def finish(self) -> None:
        """Write results.csv and results.json, sorted by source, and remove the database.

        What the user has added to results.csv meanwhile stays.
        """
        with self._refusals():
            table = Table(self._folder)
            self._database.execute("begin")
            for row, others in table.rows():
                if any(others):
                    self._database.execute(
                        "update pictures set others = ? where source = ?",
                        (json.dumps(others), os.fsencode(row.source)),
                    )
            self._database.execute("commit")
            write_results(self._folder, table.layout(), self._in_order)
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
        if version and self._database.execute("pragma quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")  # by a power failure, say
        if version > SCHEMA_VERSION:
            raise MachineError(
                f"A later version of retrain began to sort into {self._folder}. Finish with that."
            )
        if version < SCHEMA_VERSION:
            self._begin(version)

    def _begin(self, version: int) -> None:
        """Make the tables, from those of an interrupted older version or from the results."""
        if version == 2:  # its rows had fewer cells, which is no harm
            self._database.execute(f"pragma user_version = {SCHEMA_VERSION}")
            return
        self._database.execute("begin")
        if version == 1:  # its tables had rows of six cells
            self._database.execute("drop index names")
            self._database.execute("alter table pictures rename to earlier")
        else:
            self._database.execute("drop table if exists pictures")
        for statement in _TABLES:
            self._database.execute(statement)
        if version == 1:
            for row, scores in self._database.execute("select row, scores from earlier"):
                self._insert(_row(row), json.loads(scores))
            self._database.execute("drop table earlier")
        else:
            for known, given in read_results(self._folder):
                self._insert(known, given)
        self._database.execute(f"pragma user_version = {SCHEMA_VERSION}")
        self._database.execute("commit")

    def _insert(self, row: Row, scores: Scores, replaced: Row | None = None) -> None:
        self._database.execute(
            "insert into pictures values (?, ?, ?, ?, ?, ?, ?, null) on conflict (source) "
            "do update set name = excluded.name, number = excluded.number, copy = excluded.copy, "
            "row = excluded.row, scores = excluded.scores, replaced = excluded.replaced",
            (
                *(os.fsencode(row.source), *_copy_cells(row), _cells(row), json.dumps(scores)),
                _cells(replaced) if replaced else None,
            ),
        )

    def _one(self, statement: str, *values: object) -> Any:
        """Return the first cell of the first row that is found; None without one."""
        with self._refusals():
            found = self._database.execute(statement, values).fetchone()
        return found[0] if found else None

    def _in_order(self) -> Iterator[tuple[Row, Scores, list[str]]]:
        for row, scores, others in self._database.execute(
            "select row, scores, others from pictures order by source"
        ):
            yield _row(row), json.loads(scores), json.loads(others or "[]")

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
                raise MachineError(
                    f"{reason}: {self._folder}. Make room, and start again."
                ) from error


def _cells(row: Row) -> str:
    return json.dumps([*vars(row).values()])


def _row(cells: str) -> Row:
    return Row(*json.loads(cells))


def _copy_cells(row: Row) -> tuple[bytes, int, bytes]:
    """Return name, number and copy as the database has them."""
    name, number = name_and_number(row.copy, row.source) if row.copy else ("", 0)
    return blind(name), number, blind(row.copy)
