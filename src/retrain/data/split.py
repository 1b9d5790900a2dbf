"""Which picture is for training, which for validation, which for the final test.

A picture's *key* decides, so that what belongs together stays together, and the key's hash, so
that renaming, moving, adding and removing files never moves a test picture into training (the
way of TensorFlow's retrain.py, which hashed the path and so lost this when a folder moved).
Pure: keys and sides, no files.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from retrain.data.records import SIDES, Picture, Side
from retrain.errors import DataError, UsageError
from retrain.progress import counted

TEST_SHARE = 0.1
# Below, all pictures are learned from, and cross-fitting judges them all; docs/trust.md.
ENOUGH_TO_HOLD_OUT = 1000
GROUP = "group:"  # before a key that is no content's sha256
SOURCE = "source:"  # before one that `sources.csv` has; related pictures may join such keys
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


def expect_groups(names: Sequence[str], expression: str) -> None:
    """Refuse an expression for groups that finds none.

    Raises:
        DataError: it finds nothing in any name.
    """
    pattern = group_pattern(expression)
    if names and not any(map(pattern.search, names)):
        raise DataError(
            f"--group-by '{expression}' finds a group in none of {counted(len(names), 'path')}, "
            f"such as {names[0]!r}. Change the expression, or leave it out."
        )


def split_key(
    name: str,
    sha256: str,
    group: str | None = None,
    group_by: str | None = None,
    source: str | None = None,
) -> str:
    """Return the key of a picture: its group if it has one, else its content.

    Args:
        name: path relative to the data folder.
        sha256: of the content; two identical files are one key.
        group: as given in labels.csv.
        group_by: regular expression searched in `name`; its first group, else its whole match.
        source: the group that `sources.csv` has; closer than what the name tells.
    """
    if group:
        return f"{GROUP}{group}"
    if group_by and (match := group_pattern(group_by).search(name)):
        return f"{GROUP}{match[1] if match.re.groups and match[1] is not None else match[0]}"
    if source:
        return f"{SOURCE}{source}"
    stem = PurePosixPath(name).name
    if GROUP_MARK in stem:
        return f"{GROUP}{stem.split(GROUP_MARK)[0]}"
    return sha256


def position(key: str) -> float:
    """Return a key's place in [0, 1): uniform over keys, the same for ever."""
    content = f"retrain:{key}".encode(errors="surrogateescape")  # a file name may be no UTF-8
    return int.from_bytes(hashlib.sha256(content).digest()[:7]) / 2**56


def share_to_hold_out(pictures: int, wanted: float | None, drawable: bool) -> float:
    """Return the share of pictures that hashing holds back for the test, 0..1.

    Args:
        pictures: how many there are.
        wanted: what the user asked for; None for a tenth of many pictures, and none of few.
        drawable: whether the user left the test open.
    """
    if not drawable:
        return 0.0
    if wanted is not None:
        return wanted
    return TEST_SHARE if pictures >= ENOUGH_TO_HOLD_OUT else 0.0


def assign(
    pictures: Sequence[Picture],
    previous: Mapping[str, Side],
    hold_out: float | None = None,
    drawable: bool = True,
    joined: Mapping[str, str] | None = None,
) -> dict[str, Side]:
    """Give every key its side.

    The user's own sides stand first. What was test in the previous run stays test, until nothing is
    to be held out. Then the hash decides which keys are test, also of those that were learned from
    before: a workspace that grows gets its whole test. Nobody but the user makes validation
    pictures. A category without training pictures gets a new key; an old test key never moves.

    Args:
        pictures: all that decode.
        previous: side by key, of the run before.
        hold_out: the share for the test; None to decide by the number of pictures.
        drawable: whether hashing may fill the test, because the user left it open.
        joined: the name of the set that a key was joined to, by key; a set has one side, the
            strictest of its members.

    Returns:
        side by key.
    """
    share = share_to_hold_out(len(pictures), hold_out, drawable)
    unit_of = {p.key: (joined or {}).get(p.key, p.key) for p in pictures}
    members: dict[str, set[str]] = {}
    for key, unit in unit_of.items():
        members.setdefault(unit, set()).add(key)
    homes: dict[str, set[str]] = {}
    given: dict[str, Side] = {}
    for picture in pictures:
        unit = unit_of[picture.key]
        homes.setdefault(unit, set()).add(picture.category)
        if picture.side:
            given[unit] = _stricter(picture.side, given.get(unit))
    stands = {} if hold_out == 0 else previous
    old_test = {
        unit for unit, keys in members.items() if any(stands.get(k) == "test" for k in keys)
    }
    sides: dict[str, Side] = {}
    for unit, keys in members.items():
        test = unit in old_test or position(min(keys)) >= 1 - share
        sides[unit] = given.get(unit) or ("test" if test else "train")
    split = _Split(homes, sides)
    spare = homes.keys() - given.keys() - old_test
    for category in sorted(split.members):
        split.provide_training(category, spare)
    return {key: split.sides[unit] for key, unit in unit_of.items()}


def _stricter(side: Side, other: Side | None) -> Side:
    """Of two sides that a user gave to one key, return the one farther from training."""
    return side if other is None else max(side, other, key=SIDES.index)


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

    def provide_training(self, category: str, spare: Collection[str]) -> None:
        """Move one of the spare keys of `category` to training if it has none there."""
        candidates = self.members[category] & set(spare)
        if candidates and not self._counts[category, "train"]:
            self._move(min(candidates, key=lambda key: (position(key), key)), "train")

    def _move(self, key: str, side: Side) -> None:
        for category in self._homes[key]:
            self._counts[category, self.sides[key]] -= 1
            self._counts[category, side] += 1
        self.sides[key] = side
