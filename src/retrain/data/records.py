"""The nouns of the data: a picture with its category, and the whole collection."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from retrain.data.origins import Origin
from retrain.errors import DataError

Side = Literal["train", "validation", "test"]
SIDES: tuple[Side, ...] = ("train", "validation", "test")
HELD_OUT: tuple[Side, ...] = ("validation", "test")  # what no model learns from


@dataclass(frozen=True)
class Example:
    """One picture of the user's, not read yet.

    path: where it lies. name: its path relative to the data folder, "/" between parts.
    side, group: as the user gave them, else None.
    folder: of its category; None where a table says the category.
    """

    path: Path
    name: str
    category: str
    side: Side | None = None
    group: str | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Skipped:
    """A file that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """All that a source found.

    drawable: whether hashing may fill the test side, because the user left it open.
    notes: what the user should know about the folder, a line each.
    origins: what is known of gathered pictures, by their sha256.
    """

    examples: tuple[Example, ...]
    skipped: tuple[Skipped, ...] = ()
    drawable: bool = True
    notes: tuple[str, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True)
class Picture:
    """A picture that decodes.

    sha256: of the file's content, hex. key: the split keeps all pictures of one key together.
    varies: the sha256 of the picture that this one was made of by `vary`; None for all others. Such
        a picture only teaches: it goes with its original, and neither judges nor counts.
    """

    path: Path
    name: str
    category: str
    sha256: str
    key: str
    side: Side | None = None
    varies: str | None = None


def category_name(text: str) -> str:
    """Return a category's identity: Unicode NFC, otherwise as the user wrote it.

    Raises:
        DataError: it is not UTF-8, which labels in a model must be.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"A category's name must be UTF-8. Received: {text!a}. Rename it."
        ) from None
    return unicodedata.normalize("NFC", text)
