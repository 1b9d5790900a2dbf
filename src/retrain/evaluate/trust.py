"""What the numbers of a training mean, in words that are true.

Pure: numbers in, sentences out.
"""

import math
from collections.abc import Sequence

from retrain.progress import counted

LARGE_DROP = 0.15  # of accuracy; docs/trust.md counts alarms
SMALL_DROP = 0.03
VAGUE = 0.15  # an interval wider than that says nothing
CLOSE = 0.02  # an interval narrower than that gets a decimal


def percent(low: float, high: float) -> str:
    """Write an interval, rounded outwards so that it claims no more than it holds.

    >>> percent(0.953, 0.968), percent(0.9925, 1.0), percent(0.653, 0.771)
    ('95.3 to 96.8 %', '99.2 to 100 %', '65 to 78 %')
    """
    digits = _digits(low, high)
    scale = 10.0**digits
    lower = math.floor(round(low * 100 * scale, 6)) / scale
    upper = math.ceil(round(high * 100 * scale, 6)) / scale
    if lower == upper:
        return f"{lower:g} %"
    return f"{lower:g} to {upper:g} %"


def like_these(interval: tuple[float, float]) -> str:
    """Say how often the model is right on pictures of the same kind.

    >>> like_these((0.95, 0.97))
    'On pictures like these: 95 to 97 % right.'
    """
    return f"On pictures like these: {percent(*interval)} right."


def beyond_these(accuracy: float, interval: tuple[float, float], drop: float) -> str:
    """Say how the head fares with clusters held out, and what to do where it fares badly.

    Args:
        accuracy: with whole clusters held out, 0..1.
        interval: its 95 %.
        drop: how much less that is than with as many random pictures held out.
    """
    start = (
        "With groups of look-alike pictures left out, the head is right on "
        f"{round(100 * accuracy, _digits(*interval)):g} %{_around(interval)}"
    )
    if is_large(drop):
        return (
            f"{start}: it may have learned the looks of a series. Add pictures of other series, or "
            "name the series."
        )
    if drop < SMALL_DROP:
        return f"{start}: hardly less than with as many others left out."
    return f"{start}; with as many others left out, on {100 * (accuracy + drop):.0f} %."


def is_large(drop: float) -> bool:
    """Tell whether a drop of accuracy is far larger than usual, so that a warning is due."""
    return drop >= LARGE_DROP


def with_more(doubled: float, interval: tuple[float, float], neediest: str | None) -> str | None:
    """Say what twice the pictures are expected to bring; None where that is too uncertain.

    Args:
        doubled: accuracy expected with twice the pictures, 0..1.
        interval: its 95 %.
        neediest: the category that would gain most, if any would.

    >>> with_more(0.97, (0.955, 0.98), "elsa")
    "With twice the pictures: about 97 % right (95 to 98). 'elsa' would gain most."
    """
    if interval[1] - interval[0] > VAGUE:
        return None
    gains = f" {neediest!r} would gain most." if neediest is not None else ""
    share = f"{round(100 * doubled, _digits(*interval)):g} %"
    return f"With twice the pictures: about {share} right{_around(interval)}.{gains}"


def whose_numbers(folds: int, pictures: int) -> str:
    """Say which heads the cross-fitted numbers belong to.

    >>> print(whose_numbers(5, 244))
    These figures are of 5 heads, each judged on pictures that it had not learned from. The model \
that is published has learned from all 244 pictures, so no picture is left to judge it by.
    """
    return (
        f"These figures are of {counted(folds, 'head')}, each judged on pictures that it had not "
        f"learned from. The model that is published has learned from all "
        f"{counted(pictures, 'picture')}, so no picture is left to judge it by."
    )


def whose_tuned_numbers(folds: int, judged: int, pictures: int, refitted: bool) -> str:
    """Say which fine-tuned models the numbers belong to.

    Args:
        folds: how many judged, each after a training of its own.
        judged: how many pictures they hold.
        pictures: how many there are.
        refitted: whether the published model has learned from all.

    >>> print(whose_tuned_numbers(1, 50, 250, True))
    These figures are of a model that learned from 200 of the pictures. The model that is \
published was trained in the same way on all 250, so no picture is left to judge it by.
    >>> print(whose_tuned_numbers(5, 250, 250, True))
    These figures are of 5 fine-tuned models, each judged on pictures that it had not learned \
from. The model that is published was trained in the same way on all 250, so no picture is left to \
judge it by.
    >>> print(whose_tuned_numbers(2, 100, 250, False))
    These figures are of 2 fine-tuned models, each judged on pictures that it had not learned \
from. The first of them is published.
    """
    if folds > 1:
        figures = (
            f"These figures are of {folds} fine-tuned models, each judged on pictures that it had "
            "not learned from."
        )
        if not refitted:
            return f"{figures} The first of them is published."
    else:
        learned = pictures - judged
        figures = f"These figures are of a model that learned from {learned} of the pictures."
    if refitted:
        return (
            f"{figures} The model that is published was trained in the same way on all {pictures}, "
            "so no picture is left to judge it by."
        )
    return f"{figures} It is the one that is published."


def not_judged(categories: Sequence[str]) -> str | None:
    """Name the categories that no number speaks of; None where there are none.

    >>> print(not_judged(["elsa"]))
    No estimate is possible for 'elsa': all its pictures belong together, and without them no head \
can know it. Add pictures of another series.
    """
    if not categories:
        return None
    names = ", ".join(repr(name) for name in categories)
    if len(categories) == 1:
        return (
            f"No estimate is possible for {names}: all its pictures belong together, and without "
            "them no head can know it. Add pictures of another series."
        )
    return (
        f"No estimate is possible for {names}: all pictures of each belong together, and without "
        "them no head can know it. Add pictures of other series."
    )


def _digits(low: float, high: float) -> int:
    """Return how many decimals a percentage inside an interval deserves."""
    return 1 if high - low < CLOSE else 0


def _around(interval: tuple[float, float]) -> str:
    """Write an interval behind its middle; nothing where it has no width."""
    both = percent(*interval).removesuffix(" %")
    return f" ({both})" if " to " in both else ""
