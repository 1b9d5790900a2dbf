"""The user's own table of pictures: `labels.csv` with the columns path,label[,split][,group]."""

import csv
import io
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from retrain.data.records import Example, Side, Skipped, category_name
from retrain.data.sides import side_named
from retrain.errors import DataError
from retrain.progress import counted

LABELS = "labels.csv"


class Labels:
    """What a labels.csv says of the files around it.

    examples: a row each. skipped: rows without a label. notes: what the table leaves out.
    """

    def __init__(self, folder: Path, files: Collection[str], prefix: str = "") -> None:
        """Read the table.

        Args:
            folder: that holds it; its paths begin there.
            files: what lies below the folder, relative to it, "/" between parts.
            prefix: put before the examples' names.

        Raises:
            DataError: it is no such table.
        """
        self.examples: list[Example] = []
        self.skipped: list[Skipped] = []
        # A table that was written on another system may spell accents in another way.
        spelled = {unicodedata.normalize("NFC", name): name for name in files}
        unnamed = set(files) - {LABELS}
        for line, row in _rows(folder / LABELS):
            name = PurePosixPath(row["path"].replace("\\", "/")).as_posix()
            if name not in unnamed:
                name = spelled.get(unicodedata.normalize("NFC", name), name)
            unnamed.discard(name)
            if not row["label"]:
                self.skipped.append(Skipped(prefix + name, f"{LABELS} line {line}: no label"))
                continue
            self.examples.append(
                Example(
                    path=folder / name,
                    name=prefix + name,
                    category=category_name(row["label"]),
                    side=_side(row.get("split", ""), line),
                    group=row.get("group") or None,
                )
            )
        self.notes = [_note(unnamed)] if unnamed else []


def _note(unnamed: Collection[str]) -> str:
    example = f"{min(unnamed)!r}"
    if len(unnamed) > 1:
        example = f"{counted(len(unnamed), 'file')}, such as {example}"
    return f"{LABELS} does not name {example}: left out."


def _rows(labels: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = labels.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{labels} must be UTF-8 text. Save it as UTF-8 CSV.") from error
    header = text.split("\n", 1)[0]
    delimiter = ";" if header.count(";") > header.count(",") else ","  # spreadsheets in Europe
    reader = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        columns = {(name or "").strip().lower() for name in reader.fieldnames or ()}
        if not {"path", "label"} <= columns:
            raise DataError(
                f"{labels} must start with the columns path,label[,split][,group]. "
                f"Received: {header.strip()!r}."
            )
        for row in reader:
            clean = {(k or "").strip().lower(): (v or "").strip() for k, v in row.items() if k}
            if clean.get("path"):
                yield reader.line_num, clean
    except csv.Error as error:  # a quote that is not closed would swallow all that follows
        raise DataError(
            f"{LABELS} line {reader.line_num + 1}: quotes must come in pairs, around a cell. "
            f"Received: {error}."
        ) from error


def _side(text: str, line: int) -> Side | None:
    if not text:
        return None
    side = side_named(text)
    if side is None:
        raise DataError(
            f"{LABELS} line {line}: split must be train, validation, test or empty. "
            f"Received: {text!r}."
        )
    return side
