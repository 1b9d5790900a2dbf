"""Which picture is for training, which for validation, which for the final test.

A picture's *key* decides, so that what belongs together stays together, and the key's hash, so
that renaming, moving, adding and removing files never moves a test picture into training (the
way of TensorFlow's retrain.py, which hashed the path and so lost this when a folder moved).
Pure: keys and sides, no files.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath

from retrain.data.records import Picture, Side
from retrain.errors import UsageError

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1
GROUP = "group:"  # before a key that is no content's sha256
GROUP_MARK = "_nohash_"


def group_pattern(expression: str) -> re.Pattern[str]:
    """Compile a --group-by expression.

    Raises:
        UsageError: it is no regular expression.
    """
    try:
        return re.compile(expression)
    except re.error as error:
        raise UsageError(
            f"--group-by must be a regular expression. Received: {expression!r} ({error})."
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
    members: dict[str, set[str]] = {}
    for picture in pictures:
        members.setdefault(picture.category, set()).add(picture.key)
        if picture.side:
            given[picture.key] = _stricter(picture.side, given.get(picture.key))
    keys = set().union(*members.values()) if members else set()
    sides = {key: given.get(key) or previous.get(key) or _drawn(key, draw) for key in keys}
    movable = keys - given.keys()
    new = movable - previous.keys()
    for category in sorted(members):
        if "validation" in draw:
            _provide(category, "validation", members, sides, new, movable)
        _provide(category, "train", members, sides, new, new)
    return sides


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


def _provide(
    category: str,
    side: Side,
    members: Mapping[str, set[str]],
    sides: dict[str, Side],
    new: Collection[str],
    movable: Collection[str],
) -> None:
    """Move one key of `category` to `side` if none is there and one can be spared."""
    own = members[category]
    if any(sides[key] == side for key in own):
        return

    def spare(key: str) -> bool:
        if key in new:
            return sides[key] == "test" or _others_keep(key, members, sides)
        return sides[key] == "train" and _others_keep(key, members, sides)

    candidates = [key for key in own if key in movable and spare(key)]
    if side == "train" and not candidates:  # learning a category comes before validating it
        candidates = [key for key in own if key in new]
    if candidates:
        chosen = min(candidates, key=lambda key: (key not in new, position(key), key))
        sides[chosen] = side


def _others_keep(key: str, members: Mapping[str, set[str]], sides: Mapping[str, Side]) -> bool:
    """Tell whether every category of `key` has another key on the side that it would leave."""
    return all(
        any(sides[other] == sides[key] for other in own if other != key)
        for own in members.values()
        if key in own
    )
