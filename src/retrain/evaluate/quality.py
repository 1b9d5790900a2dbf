"""Categories that are too few or too rare, and pictures too small, too dark, too bright or empty.

Pure: counts and measures in, findings out.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.records import Picture
from retrain.evaluate.findings import Finding
from retrain.progress import counted

FEW = 20  # pictures of a category; with fewer a model is rarely reliable
RARE = 10  # times as many pictures in the largest category
SMALL = 32  # pixels of the shorter side
DARK, BRIGHT = 16.0, 245.0  # of 255, mean
FLAT = 3.0  # of 255, standard deviation


@dataclass(frozen=True)
class Measures:
    """Of n pictures.

    side: the shorter one, in pixels. brightness: mean, 0..255. spread: its standard deviation.
    """

    side: NDArray[np.integer]
    brightness: NDArray[np.floating]
    spread: NDArray[np.floating]


def quality_findings(pictures: Sequence[Picture], measures: Measures) -> list[Finding]:
    """Return what is too few, rare, small, dark, bright or empty, a finding for each category."""
    sizes = Counter(picture.category for picture in pictures)
    return [*_few(sizes), *_poor(pictures, sizes, measures)]


def _few(sizes: Counter[str]) -> list[Finding]:
    most, largest = max((count, category) for category, count in sizes.items())
    found = []
    for category, count in sorted(sizes.items()):
        if count < FEW:
            why = (
                f"{category!r} has {counted(count, 'picture')}; with fewer than {FEW} a model is "
                "rarely reliable. Add some."
            )
        elif count * RARE < most:
            why = (
                f"{category!r} has {count} pictures, {largest!r} has {most}: a model sees too "
                f"little of {category!r}. Add some, or train with --balance always."
            )
        else:
            continue
        found.append(Finding("quality", (), category, "", 0.45, why))
    return found


def _poor(pictures: Sequence[Picture], sizes: Counter[str], measures: Measures) -> list[Finding]:
    side, brightness = measures.side, measures.brightness
    flat = measures.spread < FLAT
    tests: list[tuple[str, NDArray[np.bool_], Callable[[NDArray[np.int64]], str]]] = [
        (
            f"smaller than {SMALL} pixels",
            side < SMALL,
            lambda rows: f"the smallest {side[rows].min()}",
        ),
        (
            f"nearly black (mean brightness below {DARK:.0f} of 255)",
            (brightness < DARK) & ~flat,
            lambda rows: f"the darkest {brightness[rows].min():.0f}",
        ),
        (
            f"nearly white (mean brightness above {BRIGHT:.0f} of 255)",
            (brightness > BRIGHT) & ~flat,
            lambda rows: f"the brightest {brightness[rows].max():.0f}",
        ),
        ("of one colour, so that nothing is to be seen", flat, lambda rows: ""),
    ]
    found = []
    for what, poor, extreme in tests:
        by_category: dict[str, list[int]] = {}
        for row in np.flatnonzero(poor).tolist():
            by_category.setdefault(pictures[row].category, []).append(row)
        for category, rows in sorted(by_category.items()):
            detail = extreme(np.array(rows))
            share = len(rows) / sizes[category]
            found.append(
                Finding(
                    kind="quality",
                    pictures=tuple(pictures[row].name for row in rows),
                    category=category,
                    suggestion="",
                    score=round(0.2 + 0.2 * (1 - share), 3),
                    why=f"{len(rows)} of {counted(sizes[category], 'picture')} of {category!r} "
                    f"{'is' if len(rows) == 1 else 'are'} {what}{detail and f' ({detail})'}.",
                )
            )
    return found
