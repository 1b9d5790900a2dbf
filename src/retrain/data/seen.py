"""Remembers which files decoded, so that a training that was killed, or the next one, goes on."""

import contextlib
import os
import sqlite3
from pathlib import Path

AT_ONCE = 64  # files noted together; a crash loses no more


class SeenFiles:
    """Files by name, size and times: whoever changes a file changes one of them.

    A help, never a need: where it cannot be read or written, all is done as if it were empty.
    """

    def __init__(self, path: Path | None) -> None:
        """Open or make the database.

        Args:
            path: of the file, always safe to delete; None to remember nothing.
        """
        self._new: list[tuple[bytes, str, bytes]] = []
        try:
            self._open(path)
        except (sqlite3.Error, OSError):
            if path is not None:  # if it is damaged, the next check makes it anew
                with contextlib.suppress(OSError):
                    path.unlink()
            self._open(None)

    def _open(self, path: Path | None) -> None:
        if path is not None:
            path.parent.mkdir(exist_ok=True)
        self._database = sqlite3.connect(path or ":memory:")
        self._database.execute("pragma synchronous = off")
        self._database.execute(
            "create table if not exists files "
            "(name blob primary key, stamp text, sha256 blob) without rowid"
        )
        if self._database.execute("pragma quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")

    def look_up(self, name: str, path: Path) -> tuple[str | None, str | None]:
        """Return a file's stamp, to be handed to `put`, and its sha256, hex, if it is known."""
        try:
            found = path.stat()
        except (OSError, ValueError):  # reading it will say why
            return None, None
        stamp = f"{found.st_size} {found.st_ctime_ns} {found.st_mtime_ns}"
        row = None
        with contextlib.suppress(sqlite3.Error):
            row = self._database.execute(
                "select sha256 from files where name = ? and stamp = ?", (os.fsencode(name), stamp)
            ).fetchone()
        return stamp, row[0].hex() if row else None

    def put(self, name: str, stamp: str, sha256: str) -> None:
        """Remember a file that decoded; sha256 in hex."""
        self._new.append((os.fsencode(name), stamp, bytes.fromhex(sha256)))
        if len(self._new) == AT_ONCE:
            self._write()

    def close(self) -> None:
        """Write what waits, and close."""
        self._write()
        self._database.close()

    def _write(self) -> None:
        with contextlib.suppress(sqlite3.Error), self._database:
            self._database.executemany("insert or replace into files values (?, ?, ?)", self._new)
        self._new.clear()
