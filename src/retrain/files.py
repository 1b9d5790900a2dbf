"""Files: written whole or not at all, read with any name in them, recognised by their digest."""

import contextlib
import csv
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from retrain.errors import MachineError, UsageError

# By the end of their names, what files begin with that people asked for (`--output`).
MARKS = {
    ".html": re.compile(rb'(?s)\s*<!DOCTYPE html>.*<meta name="generator" content="retrain">'),
    ".png": re.compile(rb"(?s)\x89PNG\r\n.*tEXtSoftware\0retrain"),
}
BEGINNING = 4096  # bytes that are searched for a mark
ENCODE_ERRORS = "surrogateescape"  # file names on Linux are bytes, not always UTF-8


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the digest of a file's content, hex; the file is read in pieces.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def lines_digest(lines: Iterable[str]) -> str:
    """Return a sha256 of lines of text, hex, whatever their order."""
    text = "\n".join(sorted(lines)).encode(errors=ENCODE_ERRORS)
    return hashlib.sha256(text).hexdigest()


def output_folder(folder: Path, data: Path | None = None) -> Path:
    """Return a folder to write to, absolute; it is made if it is not there.

    Args:
        folder: as the user said.
        data: the folder of the user's pictures, below which nothing is written; None for none.

    Raises:
        UsageError: a file is in its place, or it lies below `data`. MachineError: it cannot be
            made.
    """
    folder = folder.absolute()
    if data is not None and folder.resolve().is_relative_to(data.resolve()):
        raise UsageError(
            "Output must not lie among the pictures, where the next training would find it. "
            f"Received: {folder}, in {data}. Name another place.",
            setting="output",
        )
    with machine_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                f"Output must go to a folder. Received: {folder}, "
                f"where {error.filename} is a file.",
                setting="output",
            ) from error
    return folder


def output_file(output: Path | None, default: Path, data: Path | None) -> Path:
    """Return where to write a file, in a folder that is there.

    Args:
        output: as the user said: a file, or a folder to put it in; None for `default`.
        default: in the workspace, where whatever is there is replaced.
        data: the folder of the user's pictures, below which nothing is written; None for none.

    Raises:
        UsageError: a file is where a folder should be, or one that is not ours is in the way; or
            its name does not end like that of `default`.
        MachineError: the folder cannot be made.
    """
    path = (output or default).absolute()
    if path.is_dir():
        path = path / default.name
    if path.suffix.lower() != default.suffix:
        raise UsageError(
            f"The name of the file to write must end in {default.suffix}. Received: {output}. "
            "Name it so.",
            setting="output",
        )
    folder = output_folder(path.parent, data)
    if path != default.absolute():
        refuse_foreign(path, MARKS[default.suffix])
    return folder / path.name


def refuse_foreign(path: Path, mark: re.Pattern[bytes]) -> None:
    """Refuse to write over a file that this program did not write.

    Args:
        path: to write to; it need not be there.
        mark: what our files begin with.

    Raises:
        UsageError: there is something else.
    """
    if os.path.lexists(path) and not (path.is_file() and mark.match(_beginning(path))):
        raise UsageError(
            f"No file of yours is overwritten. Received: {path}, which this command did not "
            "write. Name another file.",
            setting="output",
        )


def table_mark(header: Sequence[str]) -> re.Pattern[bytes]:
    """Return what a CSV file that `write_csv` wrote begins with."""
    return re.compile(re.escape(",".join(header).encode()) + rb"\r?\n")


def _beginning(path: Path) -> bytes:
    """Return the first bytes of a file; none where it cannot be read."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(BEGINNING)
    return b""


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header; none where there is no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", errors=ENCODE_ERRORS, newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, header: tuple[str, ...], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file, atomically."""
    with (
        atomic_writer(path) as part,
        part.open("w", encoding="utf-8", errors=ENCODE_ERRORS, newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def read_json(path: Path) -> dict[str, Any]:
    """Return the values of a JSON file; none where it is missing or holds something else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8", errors=ENCODE_ERRORS))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    with atomic_writer(path) as part:
        part.write_text(text, encoding="utf-8", errors=ENCODE_ERRORS)


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes its place at the end, or vanishes."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    part.unlink(missing_ok=True)  # a killed process of this number may have left a hard link
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def append_synced(path: Path, content: bytes) -> None:
    """Add to the end of a file and wait for the disk; what fails leaves the file as it was.

    Args:
        path: of the file, which is made if it is missing.
        content: what to add.

    Raises:
        OSError: it cannot be written.
    """
    new = not path.exists()
    with path.open("ab") as file:
        size = file.seek(0, os.SEEK_END)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(file.fileno(), size)
            raise
    if new:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk, where its file system can tell."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def machine_errors(place: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into MachineError."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "The disk is full",
            errno.EDQUOT: "The disk quota is used up",
            errno.EROFS: "The file system is read-only",
            errno.EACCES: "No permission to write",
            errno.EPERM: "No permission to write",
        }
        if error.errno in reasons:
            where = error.filename or place
            raise MachineError(
                f"{reasons[error.errno]}: {where}. Put this right and start again."
            ) from error
        raise
