"""Texts and tables as people save them: with a byte order mark, any line ends, any separator."""

import codecs
import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from retrain.errors import DataError, MachineError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = ",;\t|"


def read_text(path: Path) -> str:
    """Return the text of a file: UTF-8, or what its mark says.

    Raises:
        DataError: it is no such text. MachineError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}.") from error
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} must be UTF-8 text. Save it as UTF-8.") from error


def separator(header: str) -> str:
    """Return what separates the columns of a table: what its header has most of."""
    return max(_SEPARATORS, key=header.count)


def column(header: str, names: Iterable[str]) -> str | None:
    """Return which of some names, in lower case, a header has first; None for none of them.

    >>> column("File;Label", ("path", "file")), column("a,b", ("path",))
    ('file', None)
    """
    found = {cell.strip().strip('"').lower() for cell in header.split(separator(header))}
    return next((name for name in names if name in found), None)


def table_rows(path: Path, text: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a table by its columns' names in lower case, without spaces around.

    Args:
        path: of the table, for messages.
        text: that begins with the header.

    Raises:
        DataError: a quote is not closed.
    """
    text = text.lstrip("\r\n")
    lines = io.StringIO(text, newline="")
    reader = csv.DictReader(
        lines, delimiter=separator(text.split("\n", 1)[0]), skipinitialspace=True, strict=True
    )
    try:
        for row in reader:
            yield {
                (name or "").strip().lower(): (cell or "").strip()
                for name, cell in row.items()
                if isinstance(cell, str)
            }
    except csv.Error as error:  # a quote that is not closed would swallow all that follows
        raise DataError(
            f"{path} line {reader.line_num + 1}: quotes must come in pairs, around a cell. "
            f"Received: {error}."
        ) from error
