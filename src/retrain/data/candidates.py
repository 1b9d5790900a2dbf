"""Which of many pictures may be related: the nearest of each, by what is cheap to compare.

Two pictures of a hundred thousand are five billion pairs, so vectors are short, products go block
by block, and no block is larger than some 64 MB. Pure: arrays in, arrays out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from retrain.data.alignment import Array, Rows, portions, sampled, shrunk
from retrain.data.fingerprints import WHOLE_SIDE, Fingerprints

BLOCK = 16_000_000  # products at a time
SEGMENT = 64  # products of which the largest stands for all
RECORDS = 4096  # thumbnails at a time

SEEN = 32  # pixels: sides of what is transformed
WAVES = 8  # of the cosine transform, down and across
SHARPNESS = 0.5  # weight of a wave: its frequency to this power, as slow ones are alike everywhere
WHOLE = np.array([1, 0, 1, 0], np.float32)
INNER = np.array([0.9, 0, 0.9, 0], np.float32)  # what a slightly cropped copy shows
ALIKE_WAVES = 0.4  # product of the waves below which nobody is a neighbour
NEAREST = 6  # pictures that are looked at for each view of each

FEATURE_NEAREST = 3  # pictures that are looked at for each, by features
ALIKE_DIRECTIONS = 0.4  # product of directions below which nobody is a neighbour
DIRECTIONS = 256  # of features that are kept at most
PICTURES_A_DIRECTION = 4  # at least, or the directions are those of single pictures


@dataclass(frozen=True)
class Candidates:
    """Pairs to be compared.

    first, second: rows, int64 [m]. mirrored: bool [m]; no pair comes twice with the same.
    start: float32 [m, 4], as `alignment.likeness` takes it.
    """

    first: Rows
    second: Rows
    mirrored: NDArray[np.bool]
    start: Array


def by_pixels(records: Fingerprints, rows: Rows) -> Candidates:
    """Return pairs whose slow waves are alike: as wholes, without edges, without borders.

    Args:
        records: fingerprints, of which only `rows` are looked at; may be mapped from a file.
        rows: int64 [n], each once.
    """
    places = np.arange(len(rows))
    base = waves(records, rows, np.tile(WHOLE, (len(rows), 1)))
    found, closeness = [], []
    for own, boxes in (
        (places, np.tile(WHOLE, (len(rows), 1))),
        (places, np.tile(INNER, (len(rows), 1))),
        _bordered(records["border"][rows]),
    ):
        queries = waves(records, rows[own], boxes)
        for turned in (False, True):
            query, second, product = nearest(queries, mirrored(base) if turned else base, own)
            sort = np.full(len(query), turned)
            found.append(Candidates(rows[own[query]], rows[second], sort, boxes[query]))
            closeness.append(product)
    return merged(found, closeness)


def waves(records: Fingerprints, rows: Rows, boxes: Array) -> Array:
    """Return what a perceptual hash is made of: the slow waves of each thumbnail.

    Args:
        records: of all pictures; may be mapped from a file.
        rows: those that are looked at, int64 [n].
        boxes: the part of each that is looked at, float32 [n, 4]: half its width and where its
            middle is, half its height and where its middle is; a picture reaches from -1 to 1.

    Returns:
        float32 [n, 63], of length 1 or 0.
    """
    down, across = np.indices((WAVES, WAVES))
    weights = np.hypot(down, across) ** SHARPNESS
    found = np.empty((len(rows), WAVES * WAVES - 1), np.float32)
    for part in portions(len(rows), RECORDS):
        thumbnails = records["grey"][rows[part]].astype(np.float32)
        seen, _ = sampled(shrunk(thumbnails, SEEN), boxes[part])
        coefficients = dctn(seen, axes=(1, 2), norm="ortho")[:, :WAVES, :WAVES]
        found[part] = (coefficients * weights).reshape(len(seen), -1)[:, 1:]
    return _unit(found)


def mirrored(vectors: Array) -> Array:
    """Return the `waves` of the same pictures turned round: odd waves across change their sign."""
    signs = np.tile(np.where(np.arange(WAVES) % 2, -1, 1), WAVES)[1:]
    return np.asarray(vectors * signs, np.float32)


def _bordered(borders: NDArray[np.uint8]) -> tuple[Rows, Array]:
    """Return the places of pictures with borders, and the boxes within these."""
    places = np.flatnonzero(borders.any(axis=1))
    left, upper, right, lower = borders[places].T.astype(np.float32) / WHOLE_SIDE
    boxes = np.stack([1 - left - right, left - right, 1 - upper - lower, upper - lower], axis=1)
    return places, boxes


@dataclass(frozen=True)
class Standard:
    """Features of one collection, brought to mean 0 and deviation 1; never all in memory.

    features: float32 [n, d]. rows: int64 [m], those that count. mean, spread: float32 [d].
    """

    features: Array
    rows: Rows
    mean: Array
    spread: Array

    @classmethod
    def of(cls, features: Array, rows: Rows) -> "Standard":
        """Measure the collection."""
        total, square = np.zeros((2, features.shape[1]))
        for part in portions(len(rows), RECORDS):
            total += features[rows[part]].sum(axis=0, dtype=np.float64)
        mean = total / max(1, len(rows))
        for part in portions(len(rows), RECORDS):
            square += np.square(features[rows[part]] - mean).sum(axis=0)
        spread = np.maximum(np.sqrt(square / max(1, len(rows))), 1e-6)
        return cls(features, rows, mean.astype(np.float32), spread.astype(np.float32))

    def __getitem__(self, rows: Rows) -> Array:
        return np.asarray((self.features[rows] - self.mean) / self.spread, np.float32)

    def products(self, first: Rows, second: Rows) -> Array:
        """Return the cosines of pairs, by their rows; float32 [k]."""
        found = np.empty(len(first), np.float32)
        for part in portions(len(first), RECORDS):
            found[part] = (_unit(self[first[part]]) * _unit(self[second[part]])).sum(axis=1)
        return found

    def directions(self) -> Array:
        """Return the features in the directions in which they differ most, all weighing the same.

        Features of one collection lie close together; what all its pictures share would hide what
        two of them share.

        Returns:
            float32 [m, at most DIRECTIONS], of length 1 or 0.
        """
        size, count = len(self.mean), len(self.rows)
        covariance = np.zeros((size, size))
        for part in portions(count, RECORDS):
            values = self[self.rows[part]]
            covariance += values.T @ values
        strengths, axes = np.linalg.eigh(covariance / max(1, count))
        kept = max(1, min(DIRECTIONS, size, count // PICTURES_A_DIRECTION))
        scale = np.sqrt(np.maximum(strengths[-kept:], 1e-6))
        basis = (axes[:, -kept:] / scale).astype(np.float32)
        found = np.empty((count, kept), np.float32)
        for part in portions(count, RECORDS):
            found[part] = self[self.rows[part]] @ basis
        return _unit(found)


def by_features(standard: Standard) -> tuple[Candidates, NDArray[np.bool]]:
    """Return pairs of pictures that are near by features, and which are so from both sides."""
    vectors = standard.directions()
    places = np.arange(len(vectors))
    first, second, _ = nearest(vectors, vectors, places, FEATURE_NEAREST, ALIKE_DIRECTIONS)
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((high, low))
    low, high = low[order], high[order]
    new = np.ones(len(low), bool)
    new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    both = np.append(~new[1:], False)[new]
    rows = standard.rows
    pairs = plain(rows[low[new]], rows[high[new]])
    return pairs, both


def plain(first: Rows, second: Rows) -> Candidates:
    """Return pairs that are compared as they are."""
    return Candidates(first, second, np.zeros(len(first), bool), np.tile(WHOLE, (len(first), 1)))


def nearest(
    queries: Array,
    base: Array,
    own: Rows,
    most: int = NEAREST,
    at_least: float = ALIKE_WAVES,
) -> tuple[Rows, Rows, Array]:
    """Find for each query the rows of `base` with the largest products.

    Args:
        queries: float32 [m, d].
        base: float32 [n, d].
        own: each query's own row of `base`, which is left out; int64 [m].
        most: neighbours of a query.
        at_least: products below do not count.

    Returns:
        Rows of `queries` and of `base`, int64, and their products, float32, the largest first
        within a query.
    """
    padded = np.zeros((-(-len(base) // SEGMENT) * SEGMENT, base.shape[1]), np.float32)
    padded[: len(base)] = base
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))]
    for rows in portions(len(queries), max(1, BLOCK // max(1, len(padded)))):
        products = queries[rows] @ padded.T
        products[np.arange(len(products)), own[rows]] = -np.inf
        products[:, len(base) :] = -np.inf
        row, column = _largest(products, most, at_least)
        found.append((row + rows.start, column, products[row, column]))
    first, second, product = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, second, product


def _largest(products: Array, most: int, at_least: float) -> tuple[Rows, Rows]:
    """Return rows and columns of each row's largest entries, in order."""
    # The most-th of the segments' largest is no larger than the most-th of all: a floor for little.
    largest = products.reshape(len(products), -1, SEGMENT).max(axis=2)
    floor = np.full(len(products), at_least, np.float32)
    if largest.shape[1] >= most:
        floor = np.maximum(floor, np.partition(largest, -most, axis=1)[:, -most])
    row, column = np.nonzero(products >= floor[:, None])
    order = np.lexsort((column, -products[row, column], row))
    row, column = row[order], column[order]
    keep = np.arange(len(row)) - np.searchsorted(row, row) < most
    return row[keep], column[keep]


def merged(parts: Sequence[Candidates], closeness: Sequence[Array]) -> Candidates:
    """Put candidates together; of a pair that comes more than once the closest stands."""
    first, second, turned, start = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("first", "second", "mirrored", "start")
    )
    low, high = np.minimum(first, second), np.maximum(first, second)
    order = np.lexsort((-np.concatenate(closeness), turned, high, low))
    pairs = np.stack([low, high, turned])[:, order]
    new = np.ones(len(order), bool)
    new[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(axis=0)
    kept = order[new]
    return Candidates(first[kept], second[kept], turned[kept], start[kept])


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-6))
