"""Folds: which pictures judge together a head that has learned from all the others.

Pure: keys, labels and folds, no files. A *joined key* stands for pictures that belong together: of
one content, of the user's group, or related.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.split import position

UNJUDGED = -1


@dataclass(frozen=True)
class Folds:
    """Who judges whom.

    of_picture: int64 [n], `UNJUDGED` where every head learns from a picture. of_key: the same by
    joined key, to be kept for the next run. unjudged: indices of categories of which no picture
    can be judged, because all of them belong together: without them no head knows the category.
    """

    of_picture: NDArray[np.int64]
    of_key: Mapping[str, int]
    unjudged: tuple[int, ...]

    def numbers(self) -> list[int]:
        """Return the folds that hold pictures, rising."""
        return [int(number) for number in np.unique(self.of_picture) if number != UNJUDGED]


def assign_folds(
    keys: Sequence[str],
    labels: NDArray[np.integer],
    count: int,
    old: Sequence[int | None] | None = None,
) -> Folds:
    """Give every joined key a fold.

    An old fold stands; where joined keys had several, the one that most of their pictures had. New
    keys, large ones first, go to the fold in which their categories have the fewest pictures. Only
    where all keys of a category would lie in one fold, one moves, so that the others can judge.

    Args:
        keys: the joined key of each picture.
        labels: int [n], the category of each picture.
        count: of folds, two or more.
        old: fold of each picture in the run before; None or `UNJUDGED` where it had none.

    Returns:
        The same for the same pictures in any order.
    """
    sizes: dict[str, Counter[int]] = defaultdict(Counter)
    for key, label in zip(keys, labels.tolist(), strict=True):
        sizes[key][label] += 1
    table = _Table(sizes, count)
    for key, fold in _standing(keys, old, count).items():
        table.put(key, fold)
    for key in sorted(sizes.keys() - table.fold.keys(), key=table.order):
        table.put(key, table.emptiest(key))
    members = table.members()
    for label in sorted(members):
        own = sorted(members[label], key=position)
        if len(own) > 1 and table.is_in_one_fold(own):
            table.put(own[0], table.emptiest(own[0], without=table.fold[own[0]]))
    dealt = dict(table.fold)
    for own in members.values():
        if table.is_in_one_fold(own):
            dealt |= dict.fromkeys(own, UNJUDGED)
    unjudged = [c for c, own in members.items() if all(dealt[key] == UNJUDGED for key in own)]
    numbers = np.array([dealt[key] for key in keys], np.int64)
    return Folds(numbers, dealt, tuple(sorted(unjudged)))


def _standing(keys: Sequence[str], old: Sequence[int | None] | None, count: int) -> dict[str, int]:
    """Return the fold that each joined key has from before."""
    votes: dict[str, Counter[int]] = defaultdict(Counter)
    for key, fold in zip(keys, old or (), strict=bool(old)):
        if fold is not None and 0 <= fold < count:
            votes[key][fold] += 1
    return {key: min(own, key=lambda fold: (-own[fold], fold)) for key, own in votes.items()}


class _Table:
    """Folds while they are dealt out."""

    def __init__(self, sizes: Mapping[str, Counter[int]], count: int) -> None:
        self.sizes, self.count = sizes, count
        self.fold: dict[str, int] = {}
        self.pictures: Counter[tuple[int, int]] = Counter()  # by category and fold
        self.all: Counter[int] = Counter()  # by fold

    def put(self, key: str, fold: int) -> None:
        """Place a key, or move it."""
        if key in self.fold:
            self._count(key, self.fold[key], -1)
        self.fold[key] = fold
        self._count(key, fold, 1)

    def _count(self, key: str, fold: int, sign: int) -> None:
        for label, pictures in self.sizes[key].items():
            self.pictures[label, fold] += sign * pictures
            self.all[fold] += sign * pictures

    def emptiest(self, key: str, without: int | None = None) -> int:
        """Return the fold with the fewest pictures of the key's categories, then of all."""

        def load(fold: int) -> tuple[int, int, int]:
            own = sum(self.pictures[label, fold] for label in self.sizes[key])
            return own, self.all[fold], fold

        return min((fold for fold in range(self.count) if fold != without), key=load)

    def order(self, key: str) -> tuple[int, float]:
        """Sort large keys first, so that small ones can level the folds."""
        return -self.sizes[key].total(), position(key)

    def members(self) -> dict[int, list[str]]:
        """Return the keys of each category."""
        found: dict[int, list[str]] = defaultdict(list)
        for key, own in self.sizes.items():
            for label in own:
                found[label].append(key)
        return found

    def is_in_one_fold(self, keys: Sequence[str]) -> bool:
        """Tell whether all these keys lie in the same fold."""
        return len({self.fold[key] for key in keys}) == 1
