"""Cues that need no look at what a picture shows, and how well each tells a category by itself.

A cue is predictive if a naive Bayes classifier of nothing else, fitted on the other folds, ranks
pictures of a category above the others. That is no mistake yet: see `shortcuts.py`. Pure: numbers
in, numbers out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.stats import rankdata

from retrain.data.fingerprints import GREY, WHOLE_SIDE, Fingerprints
from retrain.data.headers import Header

CueName = Literal[
    "border", "overlay", "format", "size", "aspect", "sharpness", "brightness", "camera"
]
CUES: tuple[CueName, ...] = get_args(CueName)

BINS = 8  # of a number's range, each with as many pictures
# An overlay: nearly the same pixels in most pictures of a category and in few others.
SAME, OWN_SHARE, OTHER_SHARE = 10, 0.7, 0.35  # of 255; of pictures
LEAST_PIXELS, MOST_PIXELS = 12, GREY * GREY // 2  # of a thumbnail
Values = NDArray[np.float64]
Box = tuple[float, float, float, float]  # left, upper, right, lower, as shares of the picture


@dataclass(frozen=True)
class Looks:
    """What n pictures look like from the outside.

    records: their fingerprints. headers: of their files. sharpness: float64 [n].
    """

    records: Fingerprints
    headers: Sequence[Header]
    sharpness: Values

    def borders(self) -> Values:
        """Return the width of a plain border at each edge, float64 [n, 4], as shares of a side."""
        return np.asarray(self.records["border"], np.float64) / WHOLE_SIDE

    def brightness(self) -> Values:
        """Return the mean brightness, float64 [n], 0..255."""
        return np.asarray(self.records["grey"].mean(axis=(1, 2)), np.float64)

    def contrast(self) -> Values:
        """Return the standard deviation of brightness, float64 [n]."""
        return np.asarray(self.records["grey"].std(axis=(1, 2)), np.float64)

    def shorter_side(self) -> Values:
        """Return the shorter side of each picture in pixels, float64 [n]."""
        return np.array([min(h.width, h.height) for h in self.headers], np.float64)

    def aspect(self) -> Values:
        """Return width by height, float64 [n]."""
        return np.array([h.width / max(1, h.height) for h in self.headers], np.float64)

    def columns(self, cue: CueName) -> Values:
        """Return the numbers that are the cue, float64 [n, m]; not of overlays."""
        if cue == "border":
            return self.borders()
        if cue == "brightness":
            return np.stack([self.brightness(), self.contrast()], axis=1)
        values = self.sharpness
        if cue in ("format", "camera"):
            values = _codes([h.format if cue == "format" else h.camera for h in self.headers])
        elif cue in ("size", "aspect"):
            values = self.shorter_side() if cue == "size" else self.aspect()
        return values[:, None]


def _codes(names: Sequence[str]) -> Values:
    return np.unique(np.array(names), return_inverse=True)[1].astype(np.float64)


def scores_of(
    columns: Values, labels: NDArray[np.integer], fold: NDArray[np.integer], category: int
) -> Values:
    """Return how much a cue speaks for a category, float64 [n], by pictures of the other folds.

    Args:
        columns: float [n, m], the cue.
        labels: int [n].
        fold: int [n].
        category: whose score is wanted.
    """
    own = labels == category
    found = np.zeros(len(labels))
    for column in columns.T:
        bins = _binned(column)
        count = int(bins.max()) + 1
        for number in np.unique(fold):
            learned = fold != number
            for_it = np.bincount(bins[learned & own], minlength=count) + 0.5
            against = np.bincount(bins[learned & ~own], minlength=count) + 0.5
            ratio = np.log(for_it / for_it.sum()) - np.log(against / against.sum())
            judged = fold == number
            found[judged] += ratio[bins[judged]]
    return found


def _binned(column: Values) -> NDArray[np.int64]:
    """Return the bin of each number; few different ones have a bin each."""
    different = np.unique(column)
    if len(different) <= BINS:
        return np.searchsorted(different, column)
    cuts = np.unique(np.quantile(column, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(cuts, column, side="right")


@dataclass(frozen=True)
class Overlay:
    """What looks the same in most pictures of a category: a stamp, a logo, a bar.

    mask: bool [GREY, GREY]. template: float64 [GREY, GREY], brightness.
    """

    mask: NDArray[np.bool_]
    template: Values

    @property
    def box(self) -> Box:
        """Where it is."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return (
            float(columns[0]) / GREY,
            float(rows[0]) / GREY,
            float(columns[-1] + 1) / GREY,
            float(rows[-1] + 1) / GREY,
        )

    def scores(self, grey: NDArray[np.uint8]) -> Values:
        """Return how much thumbnails [n, GREY, GREY] show it, float64 [n]."""
        apart = np.abs(grey[:, self.mask].astype(np.float64) - self.template[self.mask])
        return np.asarray((apart <= SAME).mean(axis=1))


def find_overlay(grey: NDArray[np.uint8], own: NDArray[np.bool_]) -> Overlay | None:
    """Find the largest place that looks the same in a category and unlike in the others.

    Args:
        grey: thumbnails uint8 [n, GREY, GREY].
        own: whether a picture is of the category, bool [n].
    """
    if not own.any() or own.all():
        return None
    template = np.median(grey[own], axis=0)
    alike = np.abs(grey.astype(np.int16) - template.astype(np.int16)) <= SAME
    found = (alike[own].mean(axis=0) >= OWN_SHARE) & (alike[~own].mean(axis=0) <= OTHER_SHARE)
    parts, count = label(found)
    if not count:
        return None
    sizes = np.bincount(parts.ravel())[1:]
    largest = int(sizes.argmax()) + 1
    mask = parts == largest
    if not LEAST_PIXELS <= sizes[largest - 1] <= MOST_PIXELS:
        return None
    return Overlay(mask, template)


def overlay_scores(
    grey: NDArray[np.uint8],
    labels: NDArray[np.integer],
    fold: NDArray[np.integer],
    category: int,
) -> Values | None:
    """Return how much an overlay, found in the other folds, speaks for a category; None without."""
    own = labels == category
    found = np.zeros(len(labels))
    for number in np.unique(fold):
        learned, judged = fold != number, fold == number
        overlay = find_overlay(grey[learned], own[learned])
        if overlay is None:
            return None
        found[judged] = overlay.scores(grey[judged])
    return found


def auroc(scores: Values, own: NDArray[np.bool_]) -> float:
    """Return the chance that a picture of the category scores above another one, 0..1.

    >>> auroc(np.array([0.1, 0.9, 0.8]), np.array([False, True, True]))
    1.0
    """
    ranks, count = rankdata(scores), int(own.sum())
    others = len(own) - count
    if not count or not others:
        return 0.5
    return float((ranks[own].sum() - count * (count + 1) / 2) / (count * others))


def surprise(area: float, own: float, others: float) -> float:
    """Return by how many standard errors an area is above chance.

    Args:
        area: as `auroc` returns it.
        own: the number of independent pictures of the category.
        others: the number of independent other ones.
    """
    if not own or not others:
        return 0.0
    return (area - 0.5) / math.sqrt((own + others + 1) / (12 * own * others))
