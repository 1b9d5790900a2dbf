"""Joins the keys of related pictures, so that the split and the folds keep these together.

Pure: keys, sides and folds, no files. A joined set is named after one of its keys, so that the
hash deals sets as it deals keys: give pictures the names of their sets as keys.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from retrain.data.records import SIDES, Picture, Side
from retrain.data.relations import KINDS, SAME, Relation
from retrain.data.split import GROUP

MOST = 0.5  # of a category that one series may hold

Reason = Literal["half a category", "different groups", "different sides", "nothing to learn from"]


@dataclass(frozen=True)
class Apart:
    """A relation that did not join its pictures, and why."""

    relation: Relation
    reason: Reason


@dataclass(frozen=True)
class Joined:
    """What relations made of the keys.

    sets: the set's name by key, for all keys of pictures and relations. apart: what did not join,
    but mirrored and recoloured copies across categories, which are nobody's mistake. across: the
    same picture in two categories, which contradict each other.
    """

    sets: Mapping[str, str]
    apart: Sequence[Apart] = ()
    across: Sequence[Relation] = ()

    def sides(self, sides: Mapping[str, Side]) -> dict[str, Side]:
        """Return the strictest side of each set's keys, by the set's name."""
        found: dict[str, Side] = {}
        for key, side in sides.items():
            name = self.sets.get(key, key)
            found[name] = max(side, found.get(name, side), key=SIDES.index)
        return found


@dataclass
class _Set:
    """What must be known of a set before another joins it."""

    keys: list[str]
    categories: Counter[str] = field(default_factory=Counter)  # pictures of each
    groups: set[str] = field(default_factory=set)  # as the user named them
    given: set[Side] = field(default_factory=set)  # as the user filled them


def join(
    pictures: Iterable[Picture], relations: Iterable[Relation], spared: Collection[str] = ()
) -> Joined:
    """Join the keys of related pictures.

    Copies join first, then series, the most alike first, so that what a series may not swallow is
    cut where it holds least. The user's own groups never join, and a series does not cross the
    sides that the user filled.

    Args:
        pictures: all that decode, with the keys that they have without relations.
        relations: of these pictures, or of others that are gone; refused ones join nothing.
        spared: categories whose series do not join, because these would take them from training.
    """
    pictures = list(pictures)
    sets = _single_sets(pictures)
    sizes = Counter(picture.category for picture in pictures)
    keys, homes = _by_content(pictures)
    apart, across = [], []
    for relation in sorted(relations, key=_order):
        one, other = (homes.get(content, set()) for content in relation.pair)
        if relation.refused:
            continue
        if one and other and not one & other and relation.kind != "series":
            if relation.kind not in SAME:
                continue
            across.append(relation)
        first, second = (
            sets.setdefault(key, _Set([key]))
            for key in (keys.get(content, content) for content in relation.pair)
        )
        if first is second:
            continue
        if reason := _reason_against(first, second, relation, sizes, spared):
            apart.append(Apart(relation, reason))
        else:
            _unite(first, second, sets)
    return Joined({key: min(found.keys) for key, found in sets.items()}, apart, across)


def _single_sets(pictures: Iterable[Picture]) -> dict[str, _Set]:
    sets: dict[str, _Set] = {}
    for picture in pictures:
        found = sets.setdefault(picture.key, _Set([picture.key]))
        found.categories[picture.category] += 1
        if picture.key.startswith(GROUP):
            found.groups.add(picture.key)
        if picture.side:
            found.given.add(picture.side)
    return sets


def _by_content(pictures: Iterable[Picture]) -> tuple[dict[str, str], dict[str, set[str]]]:
    """Return the key and the categories of each content; of several keys the smallest."""
    keys: dict[str, str] = {}
    homes: dict[str, set[str]] = defaultdict(set)
    for picture in pictures:
        keys[picture.sha256] = min(picture.key, keys.get(picture.sha256, picture.key))
        homes[picture.sha256].add(picture.category)
    return keys, homes


def _order(relation: Relation) -> tuple[bool, float, int, tuple[str, str]]:
    return (
        relation.kind == "series",
        -relation.likeness,
        KINDS.index(relation.kind),
        relation.pair,
    )


def _reason_against(
    first: _Set,
    second: _Set,
    relation: Relation,
    sizes: Mapping[str, int],
    spared: Collection[str],
) -> Reason | None:
    if len(first.groups | second.groups) > 1:
        return "different groups"
    if relation.kind != "series":
        return None
    if len(first.given | second.given) > 1:
        return "different sides"
    together = first.categories + second.categories
    if any(count > MOST * sizes[category] for category, count in together.items()):
        return "half a category"
    if any(category in spared for category in together):
        return "nothing to learn from"
    return None


def _unite(first: _Set, second: _Set, sets: dict[str, _Set]) -> None:
    small, large = sorted((first, second), key=lambda found: len(found.keys))
    large.keys += small.keys
    large.categories += small.categories
    large.groups |= small.groups
    large.given |= small.given
    for key in small.keys:
        sets[key] = large
