"""Tables that say which picture is of which category: CSV, COCO's JSON, Label Studio's JSON."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from retrain.data.records import Side, Skipped
from retrain.data.sides import side_named
from retrain.errors import DataError, UsageError
from retrain.gather.text import column, read_text, separator, table_rows

PATHS = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path"),
    *("img", "picture", "name", "id"),
)
LABELS = ("label", "category", "class", "class_name", "target", "tag", "choice", "breed", "species")
_SUFFIXES = ("", ".jpg", ".jpeg", ".png")  # tables of competitions leave them out
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # that Label Studio puts before a file's name


@dataclass(frozen=True)
class Entry:
    """A row: the picture as the table names it, its category, side and group, if it has these."""

    path: str
    category: str
    side: Side | None = None
    group: str = ""


def is_table(path: Path) -> bool:
    """Tell whether a file's name is that of a table."""
    return path.suffix.lower() in (".csv", ".tsv", ".json") and path.is_file()


def has_columns(table: Path) -> bool:
    """Tell whether a table is no JSON, by its name."""
    return table.suffix.lower() != ".json"


def read_table(
    path: Path, path_column: str | None, label_column: str | None
) -> tuple[list[Entry], list[Skipped]]:
    """Read a table of pictures and their categories.

    Args:
        path: a CSV or TSV with a header; or a JSON in COCO's layout, or exported by Label Studio.
        path_column: of a CSV; None for one with a usual name.
        label_column: the same for categories.

    Returns:
        Pictures with one category, and those without, each with the reason.

    Raises:
        DataError: it is no such table. UsageError: it lacks such a column.
    """
    text = read_text(path)
    if has_columns(path):
        return _from_rows(path, text, path_column, label_column)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} must be JSON. Received: {error}.") from error
    if isinstance(found, dict) and {"images", "annotations", "categories"} <= found.keys():
        pairs = _coco(found)
    elif isinstance(found, list):
        pairs = _label_studio(found)
    else:
        raise DataError(
            f"{path} must have COCO's layout (images, annotations, categories), or be a list as "
            "Label Studio exports it. Received: neither."
        )
    return _one_category_each(pairs)


def _from_rows(
    path: Path, text: str, path_column: str | None, label_column: str | None
) -> tuple[list[Entry], list[Skipped]]:
    header = next(iter(text.lstrip("\r\n").splitlines()), "")
    paths = _column(path, header, path_column, PATHS, "path_column")
    labels = _column(path, header, label_column, LABELS, "label_column")
    entries, skipped = [], []
    for row in table_rows(path, text):
        if not row.get(paths):
            continue
        if row.get(labels):
            side = side_named(row.get("split", ""))
            entries.append(Entry(row[paths], row[labels], side, row.get("group", "")))
        else:
            skipped.append(Skipped(row[paths], "no label"))
    return entries, skipped


def _column(path: Path, header: str, wanted: str | None, usual: Iterable[str], setting: str) -> str:
    names = (wanted.strip().lower(),) if wanted else tuple(usual)
    if (found := column(header, names)) is None:
        has = ", ".join(cell.strip().strip('"') for cell in header.split(separator(header)))
        raise UsageError(
            f"{path} must have a column for each picture's {setting.split('_')[0]}. "
            f"Received: {has or 'nothing'}. Name the column.",
            setting=setting,
        )
    return found


def _coco(found: Mapping[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield each image's file and its categories."""
    try:
        names = {one["id"]: str(one["name"]) for one in found["categories"]}
        of: dict[Any, set[str]] = defaultdict(set)
        for annotation in found["annotations"]:
            of[annotation["image_id"]].add(names[annotation["category_id"]])
        for image in found["images"]:
            yield str(image["file_name"]), of[image["id"]]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"COCO's layout needs images with id and file_name, annotations with image_id and "
            f"category_id, and categories with id and name. Received: without {error}."
        ) from error


def _label_studio(tasks: list[Any]) -> Iterator[tuple[str, set[str]]]:
    """Yield each task's picture and the choices made for it, in either of the two JSON exports."""
    for task in tasks:
        if not isinstance(task, dict):
            raise DataError(f"Label Studio exports a list of tasks. Received: {str(task)[:40]!r}.")
        data = task.get("data", task)
        if not isinstance(data, dict):
            raise DataError("Label Studio's tasks need data. Received: a task without.")
        picture = next(
            (str(data[name]) for name in ("image", "img", "picture") if name in data), ""
        )
        if not picture:
            found = (str(value) for value in data.values() if _looks_like_a_picture(value))
            picture = next(found, "")
        if "annotations" not in task:  # JSON-MIN
            values = [task.get(name) for name in LABELS if name in task]
            yield picture, {choice for value in values for choice in _choices(value)}
            continue
        made = [
            choice
            for annotation in task["annotations"] or ()
            if isinstance(annotation, dict) and not annotation.get("was_cancelled")
            for result in annotation.get("result") or ()
            if isinstance(result, dict) and result.get("type") == "choices"
            for choice in _choices(result.get("value"))
        ]
        yield picture, set(made)


def _choices(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value.get("choices", [])
    return [str(one) for one in (value if isinstance(value, list) else [value]) if one]


def _looks_like_a_picture(value: Any) -> bool:
    suffixes = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
    return isinstance(value, str) and value.lower().endswith(suffixes)


def _one_category_each(
    pairs: Iterable[tuple[str, set[str]]],
) -> tuple[list[Entry], list[Skipped]]:
    entries, skipped = [], []
    for picture, categories in pairs:
        if len(categories) == 1:
            entries.append(Entry(picture, next(iter(categories))))
        elif categories:
            shown = ", ".join(sorted(categories))
            skipped.append(Skipped(picture, f"several categories: {shown}"))
        else:
            skipped.append(Skipped(picture, "no label"))
    return entries, skipped


def locate(name: str, base: Path) -> Path | str:
    """Return the file that a table means, or why there is none.

    Args:
        name: as the table has it.
        base: the folder below which it must lie.
    """
    if name.startswith(("http://", "https://")):
        return "an address; `retrain download` fetches it"
    wanted = PurePosixPath(_plain(name).replace("\\", "/"))
    near = [base / wanted, base / wanted.name, base / _UPLOAD.sub("", wanted.name)]
    for path in near:
        for suffix in _SUFFIXES:
            full = path.with_name(f"{path.name}{suffix}") if path.name else path
            if full.is_file():
                inside = full.resolve().is_relative_to(base.resolve())
                return full if inside else f"outside of {base}"
    return "no such file"


def _plain(name: str) -> str:
    """Return a path without what Label Studio puts around it."""
    parts = urlsplit(name)
    if parts.query and "d" in (query := parse_qs(parts.query)):  # /data/local-files/?d=a/1.jpg
        return query["d"][0]
    if name.startswith("/data/upload/"):
        return unquote(parts.path).removeprefix("/data/upload/")
    return name
