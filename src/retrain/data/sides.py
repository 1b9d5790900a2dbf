"""The sides of a split as users name them, and whether the test is left to be drawn."""

from collections.abc import Iterable

from retrain.data.records import Example, Side

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


def is_test_open(examples: Iterable[Example]) -> bool:
    """Tell whether the user left the test side to be drawn: it is empty, and not all have a side.

    Sides that the user filled stay as they are.
    """
    given = {example.side for example in examples}
    return None in given and "test" not in given
