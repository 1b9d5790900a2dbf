"""What a run's split.csv says, and what the next training keeps of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrain.data.records import Side
from retrain.data.relations import Relation

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class SplitRow:
    """A picture of a split. name: its path in the data folder when the model was trained.

    sha256: of its content, hex; "" where an older version wrote down a group instead.
    key: what it belongs to. related: the set of related pictures that its key was joined to; "" for
    none.
    """

    name: str
    category: str
    side: str
    sha256: str
    key: str = ""
    related: str = ""

    @property
    def group(self) -> str:
        """What the picture belongs to: a set of related ones, or its key; else itself."""
        return self.related or self.key or self.sha256 or self.name


@dataclass(frozen=True)
class PreviousSplit:
    """What a split was in the run before.

    sides: by key.
    folds: by a picture's sha256.
    relations: between pictures, those that were refused included.
    """

    sides: Mapping[str, Side]
    folds: Mapping[str, int]
    relations: Sequence[Relation] = ()


def content_of(row: Mapping[str, str]) -> str:
    """Return the sha256 in a row of split.csv, hex; "" where only a group is known."""
    key = row.get("key") or ""
    return row.get("sha256") or (key if _SHA256.fullmatch(key) else "")
