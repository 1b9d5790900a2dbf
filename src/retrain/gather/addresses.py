"""Lists of addresses: a text file, a table, or a folder with one of them for each category."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from retrain.data.links import broken_link
from retrain.data.sources import visible_files
from retrain.errors import DataError, UsageError
from retrain.gather.place import category_folder
from retrain.gather.text import column, read_text, table_rows

ADDRESS = ("url", "address", "link", "image_url", "src")
CATEGORY = ("category", "label", "class")
LICENCE = ("licence", "license", "rights")
_PREFIX = "urls_"  # of fastai's lists, such as urls_cat.csv


@dataclass(frozen=True)
class Address:
    """An address in a list.

    url: as it is asked for and journaled: without fragment, name and password.
    category: its picture's. licence: as the list has it, else "".
    """

    url: str
    category: str
    licence: str = ""


def read_addresses(path: Path, category: str | None) -> tuple[list[Address], list[str]]:
    """Read a list of addresses.

    Args:
        path: a text file with an address a line; a table with the columns url[,category][,licence];
            or a folder with such files, each named after its category: cat.txt or urls_cat.csv.
        category: of all addresses; None where the list or the names of files tell.

    Returns:
        The addresses, each once for a category, and the lines that are none.

    Raises:
        DataError: there is no such list, or no address in it.
        UsageError: nothing tells the category.
    """
    found: dict[tuple[str, str], Address] = {}
    bad: list[str] = []
    for file, own in _lists(path, category):
        for line, named, licence in _entries(file):
            url = clean(line)
            if url is None:
                bad.append(line)
                continue
            name = own or named
            if not name:
                raise UsageError(
                    "Pictures need a category: of the command, in a column `category` of the list, "
                    f"or in the names of a folder's lists. Received: none for {line!r}.",
                    setting="category",
                )
            found.setdefault((url, name), Address(url, category_folder(name), licence))
    if not found:
        shown = f" Received: {bad[0]!r}." if bad else " Received: no line with text."
        raise DataError(f"{path} must hold addresses that begin with http:// or https://.{shown}")
    return list(found.values()), bad


def clean(line: str) -> str | None:
    """Return an address without fragment, name and password; None for what is none.

    >>> clean("https://me:secret@example.org/a b.jpg#top")
    'https://example.org/a%20b.jpg'
    >>> clean("ftp://example.org/a.jpg")
    """
    try:
        url = httpx.URL(line)
        if url.scheme not in ("http", "https") or not url.host:
            return None
        return str(url.copy_with(userinfo=b"", fragment=None))
    except (httpx.InvalidURL, ValueError, UnicodeError):
        return None


def _lists(path: Path, category: str | None) -> Iterator[tuple[Path, str | None]]:
    """Yield each list and the category of all in it, if that is known."""
    if path.is_file():
        yield path, category
        return
    if not path.is_dir():
        found = broken_link(path) or "no such file"
        raise DataError(f"A list of addresses must be a file or a folder: {path}: {found}.")
    for file in visible_files(path, recursive=False):
        if file.suffix.lower() in (".txt", ".csv", ".tsv"):
            yield file, category or file.stem.removeprefix(_PREFIX)


def _entries(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield address, category and licence of each line; the last two may be empty."""
    text = read_text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if clean(first.split(",")[0].strip().strip('"')) is None and column(first, ADDRESS):
        for row in table_rows(path, text):
            line = _cell(row, ADDRESS)
            if line:
                yield line, _cell(row, CATEGORY), _cell(row, LICENCE)
        return
    for line in text.splitlines():
        # fastai's lists are tables of one column without a header, some with quotes.
        cell = next(csv.reader(io.StringIO(line)), [""])[0] if line.startswith('"') else line
        if (cell := cell.strip()) and not cell.startswith("#"):
            yield cell, "", ""


def _cell(row: dict[str, str], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if row.get(name)), "")
