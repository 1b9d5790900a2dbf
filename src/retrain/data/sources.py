"""Turns what lies in a data folder into a Dataset: class folders, a ready-made split, a CSV."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from retrain.data.links import broken_link
from retrain.data.records import SIDES, Dataset, Example, Side, Skipped, category_name
from retrain.errors import DataError, MachineError
from retrain.progress import counted

LABELS = "labels.csv"
SIDE_NAMES: dict[str, Side] = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}


def open_data(data: Path) -> Dataset:
    """Find the examples below a data folder, in the order of their names; none is read yet.

    Args:
        data: holds `labels.csv`, or `train/` beside `valid/` or `test/`, or category folders.

    Raises:
        DataError: there is no such folder, or no picture with a category in it.
        MachineError: the folder cannot be listed.
    """
    if not data.is_dir():
        found = broken_link(data) or "no such folder"
        raise DataError(
            f"Pictures belong in {data}/<category>/, one folder a category. Received: {found}."
        )
    try:
        dataset = _from_any(data)
    except PermissionError as error:
        raise MachineError(f"{error.filename} cannot be read: {error.strerror}.") from error
    if not dataset.examples:
        raise DataError(
            f"No pictures in {data}. Put them in one folder a category, such as {data}/cat/1.jpg."
        )
    return replace(dataset, examples=tuple(sorted(dataset.examples, key=lambda e: e.name)))


def _from_any(data: Path) -> Dataset:
    if (data / LABELS).is_file():
        return _from_csv(data)
    if split := _split_folders(data):
        return _from_split(data, split)
    return _from_folders(data)


def _from_folders(data: Path) -> Dataset:
    examples: list[Example] = []
    notes: list[str] = []
    for folder in _folders(data):
        found = [_example(data, path, folder.name) for path in visible_files(folder)]
        examples += found
        if not found:
            notes.append(f"Category {folder.name!r} is empty and left out.")
    for path in _visible(data):
        if reason := broken_link(path):
            notes.append(f"{path.name} is {reason}: left out.")
    loose = sum(1 for path in _visible(data) if path.is_file())
    if loose:
        notes.append(
            f"{counted(loose, 'file')} in {data} itself without a category folder: left out."
        )
    return Dataset(tuple(examples), notes=tuple(notes))


def _split_folders(data: Path) -> dict[Path, Side]:
    """Return the side of each folder of a ready-made split, or nothing where there is none.

    A folder called `train` may be a category (of railways): it is a split only if its
    sub-folders hold pictures and validation or test stands beside it.
    """
    sides = {
        folder: SIDE_NAMES[folder.name]
        for folder in _folders(data)
        if folder.name in SIDE_NAMES
        and (SIDE_NAMES[folder.name] != "train" or _holds_categories(folder))
    }
    if "train" in sides.values() and len(set(sides.values())) > 1:
        return sides
    return {}


def _holds_categories(folder: Path) -> bool:
    return any(next(visible_files(category), None) for category in _folders(folder))


def _from_split(data: Path, folders: dict[Path, Side]) -> Dataset:
    examples = [
        _example(data, path, category.name, side)
        for folder, side in folders.items()
        for category in _folders(folder)
        for path in visible_files(category)
    ]
    others = [folder.name for folder in _folders(data) if folder not in folders]
    notes = [f"Folder {name!r} beside the ready-made split: left out." for name in others]
    return _with_given_sides(examples, [], notes)


def _from_csv(data: Path) -> Dataset:
    examples: list[Example] = []
    skipped: list[Skipped] = []
    for line, row in _rows(data / LABELS):
        name = row["path"].replace("\\", "/")
        if not row["label"]:
            skipped.append(Skipped(name, f"{LABELS} line {line}: no label"))
            continue
        examples.append(
            Example(
                path=data / name,
                name=name,
                category=category_name(row["label"]),
                side=_side(row.get("split", ""), line),
                group=row.get("group") or None,
            )
        )
    return _with_given_sides(examples, skipped, [])


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
    if text.lower() not in SIDE_NAMES:
        raise DataError(
            f"{LABELS} line {line}: split must be train, validation, test or empty. "
            f"Received: {text!r}."
        )
    return SIDE_NAMES[text.lower()]


def _with_given_sides(examples: list[Example], skipped: list[Skipped], notes: list[str]) -> Dataset:
    """Settle which sides are left to the hash when the user has filled some.

    Sides that the user filled stay as they are. Without validation pictures some are drawn, from
    the training pictures if every picture has a side.
    """
    given = {example.side for example in examples}
    open_to_hash = None in given
    draw: list[Side] = []
    for side in SIDES[1:]:
        if side not in given and (open_to_hash or side == "validation"):
            draw.append(side)
    if draw == ["validation"] and not open_to_hash:
        examples = [replace(e, side=None) if e.side == "train" else e for e in examples]
    return Dataset(tuple(examples), tuple(skipped), tuple(draw), tuple(notes))


def _example(data: Path, path: Path, category: str, side: Side | None = None) -> Example:
    return Example(path, path.relative_to(data).as_posix(), category_name(category), side)


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def visible_files(
    folder: Path,
    recursive: bool = True,
    unlisted: Callable[[Path, str], None] = lambda path, reason: None,
) -> Iterator[Path]:
    """Yield the files of a folder, and below it, links followed, each real folder entered once.

    What starts with a dot is left out, and so is a link back to a folder above.

    Args:
        folder: where to begin.
        recursive: whether sub-folders are entered.
        unlisted: called with each folder that could not be listed, and the reason.
    """

    def tell(error: OSError) -> None:
        unlisted(Path(error.filename), error.strerror or str(error))

    entered = set(folder.resolve().parents)
    for place, folders, names in os.walk(folder, followlinks=True, onerror=tell):
        real = Path(place).resolve()
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(_shown(folders)) if recursive else []
        for name in sorted(_shown(names)):
            yield Path(place) / name


def _shown(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(".")]
