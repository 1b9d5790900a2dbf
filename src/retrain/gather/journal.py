"""The journal of gathered pictures, `sources.csv`: a row for each address, frame, file, variation.

Rows are only added, and each is written at once, so that a killed job loses nothing that it had
finished. Of several rows for one source the last counts.
"""

import contextlib
import csv
import io
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from retrain.data.origins import COLUMNS, KEPT, SOURCES, read_sources
from retrain.errors import DataError, MachineError
from retrain.files import ENCODE_ERRORS, machine_errors, write_csv
from retrain.gather.place import remove_parts
from retrain.workspace import lock_file

Row = Mapping[str, str]
LOCK = f".{SOURCES}.lock"


class Journal:
    """The rows of a workspace's sources.csv, open for more.

    rows: in the order of the file.
    """

    def __init__(self, path: Path) -> None:
        """Read the journal; `open_journal` keeps others out meanwhile."""
        self.path = path
        self.rows = read_sources(path)
        if not self.rows and _holds_something_else(path):
            raise DataError(
                f"{path} must be the journal of gathered pictures, with the columns "
                f"{','.join(COLUMNS)}. Received: another table. Give it another name."
            )
        self._kept = {row["sha256"]: row for row in self.rows if row["status"] == KEPT}

    def of(self, job: str) -> dict[tuple[str, str], Row]:
        """Return the last row of each source and category of one job."""
        return {(row["source"], row["category"]): row for row in self.rows if row["job"] == job}

    def content(self, sha256: str) -> Row | None:
        """Return the row of a picture that was kept, by the sha256 of its content, hex."""
        return self._kept.get(sha256)

    def add(self, **values: str) -> None:
        """Add a row and write it at once.

        Args:
            values: by the names of columns; what is left out is empty, `when` is now.

        Raises:
            MachineError: it cannot be written; the file is as before.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = dict.fromkeys(COLUMNS, "") | {"when": now} | values
        text = io.StringIO()
        csv.writer(text).writerow(row[name] for name in COLUMNS)
        self._append(text.getvalue())
        self.rows.append(row)
        if row["status"] == KEPT:
            self._kept[row["sha256"]] = row

    def forget(self, rows: Collection[int]) -> None:
        """Take rows out, by their places in `rows`; the file is written anew."""
        gone = set(rows)
        self.rows = [row for i, row in enumerate(self.rows) if i not in gone]
        self._kept = {row["sha256"]: row for row in self.rows if row["status"] == KEPT}
        with machine_errors(self.path):
            write_csv(self.path, COLUMNS, ([row[name] for name in COLUMNS] for row in self.rows))

    def _append(self, line: str) -> None:
        with machine_errors(self.path), self.path.open("ab+", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                line = ",".join(COLUMNS) + "\r\n" + line
            elif not _ends_a_line(file, size):  # of a process that was killed
                line = "\r\n" + line
            try:
                rest = memoryview(line.encode(errors=ENCODE_ERRORS))
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                file.truncate(size)
                raise


def _ends_a_line(file: io.FileIO, size: int) -> bool:
    file.seek(size - 1)
    ended = file.read(1) == b"\n"
    file.seek(0, os.SEEK_END)
    return ended


def _holds_something_else(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8-sig", errors=ENCODE_ERRORS) as file:
            first = file.readline().strip()
    except OSError:
        return False
    return bool(first) and first != ",".join(COLUMNS)


@contextlib.contextmanager
def open_journal(root: Path, warn: Callable[[str], None]) -> Iterator[Journal]:
    """Open a workspace's journal for one gathering job; others wait outside.

    What a killed job left half-written in the category folders is removed.

    Args:
        root: the workspace; it is there.
        warn: told if the file system has no locks.

    Raises:
        MachineError: it cannot be written, or another job gathers pictures.
        DataError: the file is no journal.
    """
    with machine_errors(root), (root / LOCK).open("a") as file:
        try:
            if lock_file(file):
                remove_parts(root / "data")
            else:
                warn(f"The file system of {root} has no locks: gather in one command at a time.")
        except BlockingIOError:
            raise MachineError(
                f"Only one command may gather pictures into {root} at a time. Wait for the other "
                "one, or stop it."
            ) from None
        yield Journal(root / SOURCES)
