"""The sides of a split as users name them, and which of them are left to the hash."""

from collections.abc import Iterable
from dataclasses import replace

from retrain.data.records import SIDES, Example, Side

_NAMES: dict[str, Side] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def side_named(name: str) -> Side | None:
    """Return the side that a folder or a cell names; None if it names none.

    >>> side_named("Training"), side_named("trains")
    ('train', None)
    """
    return _NAMES.get(name.lower())


def with_given_sides(examples: Iterable[Example]) -> tuple[list[Example], tuple[Side, ...]]:
    """Settle which sides are left to the hash when the user has filled some.

    Sides that the user filled stay as they are. Without validation pictures some are drawn, from
    the training pictures if every picture has a side.

    Returns:
        The examples, and the sides to draw.
    """
    examples = list(examples)
    given = {example.side for example in examples}
    open_to_hash = None in given
    draw: list[Side] = []
    for side in SIDES[1:]:
        if side not in given and (open_to_hash or side == "validation"):
            draw.append(side)
    if draw == ["validation"] and not open_to_hash:
        examples = [replace(e, side=None) if e.side == "train" else e for e in examples]
    return examples, tuple(draw)
