"""Pairs of related pictures as the report shows them: what contradicts itself first."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrain.data.relations import KINDS, SAME, Kind, Relation
from retrain.split_rows import SplitRow

_NOWHERE = Path(os.devnull)  # is no picture


@dataclass(frozen=True)
class Sight:
    """One picture of a pair. path: where it lies now; os.devnull where that is not known."""

    name: str
    category: str
    path: Path


@dataclass(frozen=True)
class Pair:
    """Two pictures that belong together. evidence: in words."""

    kind: Kind
    evidence: str
    both: tuple[Sight, Sight]

    @property
    def across(self) -> bool:
        """Whether they lie in two categories."""
        return self.both[0].category != self.both[1].category

    @property
    def contradicts(self) -> bool:
        """Whether they show the same and lie in two categories, of which one must be wrong."""
        return self.across and self.kind in SAME


def related_pairs(relations: Iterable[Relation], rows: Sequence[SplitRow]) -> list[Pair]:
    """Return the pairs of pictures that are in a split, without those that the user refused.

    The same picture in two categories comes first, then pairs by kind; last what is alike but lies
    in two categories and contradicts nothing, such as arrows to the left and to the right.

    Args:
        relations: as a run's related.csv has them.
        rows: of its split.
    """
    sights: dict[str, Sight] = {}
    for row in rows:
        sights.setdefault(row.sha256, Sight(row.name, row.category, _NOWHERE))
    found = [
        (relation, Pair(relation.kind, relation.evidence, (sights[one], sights[other])))
        for relation in relations
        for one, other in [relation.pair]
        if not relation.refused and one in sights and other in sights
    ]
    found.sort(key=lambda both: (_rank(both[1]), -both[0].likeness, both[0].pair))
    return [pair for _, pair in found]


def _rank(pair: Pair) -> tuple[bool, bool, int]:
    across = pair.across and not pair.contradicts
    return across, not pair.contradicts, KINDS.index(pair.kind)


def located(pairs: Iterable[Pair], places: Mapping[str, Path]) -> list[Pair]:
    """Return pairs with the places of their pictures, which are given by name."""

    def there(sight: Sight) -> Sight:
        return Sight(sight.name, sight.category, places.get(sight.name, _NOWHERE))

    return [
        Pair(pair.kind, pair.evidence, (there(pair.both[0]), there(pair.both[1]))) for pair in pairs
    ]
