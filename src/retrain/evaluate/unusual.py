"""Unusual pictures: far from the others of their category, as a network sees them.

Two distances between features, both by their angle: to the tenth nearest picture of the category,
and to the category's middle. The first finds single strangers in a category of many kinds, the
second finds strangers that came together and are near one another. Pure: numbers in, numbers out.
"""

import numpy as np
from numpy.typing import NDArray

NEAREST = 10  # a copy or a burst of fewer is no crowd
UNUSUAL = 5.0  # spreads above the middle; docs/check.md counts them
FEWEST = 8  # pictures of a category that tell what is usual there
ROWS_AT_ONCE = 1024
_TO_SIGMA = 1.4826  # of a normal distribution, by its median absolute deviation

Features = NDArray[np.float32]
Values = NDArray[np.float64]


def strangeness(features: Features, labels: NDArray[np.integer]) -> Values:
    """Return by how many spreads a picture lies farther out than is usual in its category.

    Args:
        features: float32 [n, d].
        labels: int [n].

    Returns:
        float64 [n], the larger of both distances; 0 in categories of fewer than FEWEST pictures.
    """
    found = np.zeros(len(labels))
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        if len(rows) >= FEWEST:
            own = directions(features[rows])
            crowd, middle = _to_crowd(own), _to_middle(own)
            found[rows] = np.maximum(_in_spreads(crowd), _in_spreads(middle))
    return found


def directions(features: Features) -> Features:
    """Return features scaled to length 1, float32 [n, d]."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-12), np.float32)


def nearest(
    own: Features, others: Features, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the nearest of others and how near they are (cosine), int64 and float32 [n, count].

    The nearest comes first. Both are directions [n, d] and [m, d]; count is at most m.
    """
    places = np.empty((len(own), count), np.int64)
    products = np.empty((len(own), count), np.float32)
    for start in range(0, len(own), ROWS_AT_ONCE):
        some = own[start : start + ROWS_AT_ONCE] @ others.T
        best = np.argpartition(-some, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(some, best, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        places[start : start + len(some)] = np.take_along_axis(best, order, axis=1)
        products[start : start + len(some)] = np.take_along_axis(values, order, axis=1)
    return places, products


def _to_crowd(own: Features) -> Values:
    count = min(NEAREST + 1, len(own))  # the nearest is the picture itself
    return np.asarray(1 - nearest(own, own, count)[1][:, -1], np.float64)


def _to_middle(own: Features) -> Values:
    middle = directions(own.mean(axis=0, keepdims=True))[0]
    return np.asarray(1 - own @ middle, np.float64)


def _in_spreads(distances: Values) -> Values:
    middle = float(np.median(distances))
    spread = _TO_SIGMA * float(np.median(np.abs(distances - middle)))
    return np.asarray((distances - middle) / max(spread, 1e-6))
