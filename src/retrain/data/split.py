"""Which picture is for training, which for validation, which for the final test.

A picture's *key* decides, so that what belongs together stays together, and the key's hash, so
that renaming, moving, adding and removing files never moves a test picture into training (the
way of TensorFlow's retrain.py, which hashed the path and so lost this when a folder moved).
Pure: keys and sides, no files.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from retrain.data.records import Picture, Side
from retrain.errors import UsageError

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1
GROUP = "group:"  # before a key that is no content's sha256
GROUP_MARK = "_nohash_"


def group_pattern(expression: str) -> re.Pattern[str]:
    """Compile the expression that tells groups by their paths.

    Raises:
        UsageError: it is no regular expression.
    """
    try:
        return re.compile(expression)
    except re.error as error:
        raise UsageError(
            f"Groups are found by a regular expression. Received: {expression!r} ({error}).",
            setting="group_by",
        ) from error


def split_key(name: str, sha256: str, group: str | None = None, group_by: str | None = None) -> str:
    """Return the key of a picture: its group if it has one, else its content.

    Args:
        name: path relative to the data folder.
        sha256: of the content; two identical files are one key.
        group: as given in labels.csv.
        group_by: regular expression searched in `name`; its first group, else its whole match.
    """
    if group:
        return f"{GROUP}{group}"
    if group_by and (match := group_pattern(group_by).search(name)):
        return f"{GROUP}{match[1] if match.re.groups and match[1] is not None else match[0]}"
    stem = PurePosixPath(name).name
    if GROUP_MARK in stem:
        return f"{GROUP}{stem.split(GROUP_MARK)[0]}"
    return sha256


def position(key: str) -> float:
    """Return a key's place in [0, 1): uniform over keys, the same for ever."""
    content = f"retrain:{key}".encode(errors="surrogateescape")  # a file name may be no UTF-8
    return int.from_bytes(hashlib.sha256(content).digest()[:7]) / 2**56


def assign(
    pictures: Iterable[Picture],
    previous: Mapping[str, Side],
    draw: Collection[Side] = ("validation", "test"),
) -> dict[str, Side]:
    """Give every key its side.

    The user's own sides stand first, then those of the previous run, then the hash decides. A
    category without validation data gets its new key with the lowest hash from those that
    training or test can spare; only where there is none may one old key move, from training. A
    category without training data gets a new key; an old test key never moves.

    Args:
        pictures: all that decode.
        previous: side by key, of the run before.
        draw: the sides that hashing may fill.

    Returns:
        side by key.
    """
    given: dict[str, Side] = {}
    homes: dict[str, set[str]] = {}
    for picture in pictures:
        homes.setdefault(picture.key, set()).add(picture.category)
        if picture.side:
            given[picture.key] = _stricter(picture.side, given.get(picture.key))
    drawn = {key: given.get(key) or previous.get(key) or _drawn(key, draw) for key in homes}
    split = _Split(homes, drawn)
    movable = homes.keys() - given.keys()
    new = movable - previous.keys()
    for category in sorted(split.members):
        if "validation" in draw:
            split.provide(category, "validation", new, movable)
        split.provide(category, "train", new, new)
    return split.sides


def _stricter(side: Side, other: Side | None) -> Side:
    """Of two sides that a user gave to one key, return the one farther from training."""
    order: tuple[Side, ...] = ("train", "validation", "test")
    return side if other is None else max(side, other, key=order.index)


def _drawn(key: str, draw: Collection[Side]) -> Side:
    place = position(key)
    if place >= 1 - TEST_SHARE:
        return "test" if "test" in draw else "train"
    if place >= 1 - TEST_SHARE - VALIDATION_SHARE:
        return "validation" if "validation" in draw else "train"
    return "train"


class _Split:
    """Sides that change one key at a time; how many keys a category has on each is counted along.

    homes: the categories of each key. members: the keys of each category.
    """

    def __init__(self, homes: Mapping[str, set[str]], sides: dict[str, Side]) -> None:
        self.sides, self._homes = sides, homes
        self.members: dict[str, set[str]] = {}
        for key, categories in homes.items():
            for category in categories:
                self.members.setdefault(category, set()).add(key)
        self._counts = Counter(
            (category, sides[key]) for category, own in self.members.items() for key in own
        )

    def provide(
        self, category: str, side: Side, new: Collection[str], movable: Collection[str]
    ) -> None:
        """Move one key of `category` to `side` if none is there and one can be spared."""
        if self._counts[category, side]:
            return
        own = self.members[category]
        candidates = [key for key in own if key in movable and self._can_spare(key, key in new)]
        if side == "train" and not candidates:  # learning a category comes before validating it
            candidates = [key for key in own if key in new]
        if candidates:
            self._move(min(candidates, key=lambda key: (key not in new, position(key), key)), side)

    def _can_spare(self, key: str, new: bool) -> bool:
        side = self.sides[key]
        if new and side == "test":
            return True
        others = all(self._counts[category, side] > 1 for category in self._homes[key])
        return others and (new or side == "train")

    def _move(self, key: str, side: Side) -> None:
        for category in self._homes[key]:
            self._counts[category, self.sides[key]] -= 1
            self._counts[category, side] += 1
        self.sides[key] = side
