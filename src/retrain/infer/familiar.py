"""How usual a picture is for a model: whether it is like anything that the model has learned from.

A classifier must choose among its categories, whatever it is shown, and may be sure of it. So a
bundle keeps the features of some pictures that were learned from. How far a new picture lies from
the nearest of them (Sun, Ming, Zhu and Li 2022, https://arxiv.org/abs/2204.06507) is compared with
how far pictures lie that are known to belong here, but that the features had not learned from.
The share of these that lie at least as far is a conformal p-value (Vovk, Gammerman and Shafer 2005;
Laxhammar and Falkman 2010): among new pictures of the same kind, a share p at most gets p or less.

Pure numbers; no picture and no TensorFlow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from retrain.data.stream import evenly
from retrain.errors import BundleError
from retrain.files import atomic_writer

Array = NDArray[np.float32]

NEIGHBOURS = 5  # nearest pictures whose distances are averaged
MOST_PER_CATEGORY = 100  # pictures that a bundle keeps features of
MOST = 2000  # the same of all categories together, with at least one of each
UNLIKE = 0.02  # share of pictures of its own kind that a model may take for strangers
MOST_UNLIKE = 0.05  # the same where few pictures are known; with fewer than 20 none is
ODD_ONES = 2  # of few known pictures, which may lie as far as strangers do
BLOCK = 1024  # pictures whose distances are in memory at once
DECIMALS = 5  # of a p-value


@dataclass(frozen=True)
class Reference:
    """What a bundle knows of the pictures that its model has learned from.

    features: of some of them, float32 [m, d].
    usual: distances from these of pictures known to belong here, float32 [n], rising.
    """

    features: Array
    usual: Array

    @property
    def limit(self) -> float:
        """The p-value below which a picture is unlike anything that was learned from.

        Where few pictures are known, it is higher, so that one or two odd ones among them do not
        hide all strangers.
        """
        least = 1 / (len(self.usual) + 1)
        if least >= MOST_UNLIKE:
            return 0.0
        return max(UNLIKE, min(MOST_UNLIKE, (ODD_ONES + 0.5) * least))

    @cached_property
    def _directions(self) -> Array:
        return _directions(self.features)

    def familiar(self, features: Array) -> NDArray[np.float64]:
        """Return p-values, float64 [n], 0..1, rounded to five decimals.

        Args:
            features: of n pictures, float32 [n, d].
        """
        found = _distances_from(self._directions, features)
        farther = len(self.usual) - np.searchsorted(self.usual, found, side="left")
        return np.round((farther + 1) / (len(self.usual) + 1), DECIMALS)

    def write(self, path: Path) -> None:
        """Write it, features in float16; atomically."""
        with atomic_writer(path) as part, part.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                features=self.features.astype(np.float16),
                usual=self.usual,
            )


def read_reference(path: Path) -> Reference | None:
    """Read what `Reference.write` wrote; None where a bundle was made without it.

    Raises:
        BundleError: the file is damaged.
    """
    try:
        with np.load(path) as arrays:
            return Reference(
                arrays["features"].astype(np.float32), arrays["usual"].astype(np.float32)
            )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BundleError(f"{path} cannot be read ({error}). Train again.") from error


def reference_rows(labels: NDArray[np.integer]) -> NDArray[np.intp]:
    """Return which pictures to keep features of: as many of each category, spread over its rows.

    Args:
        labels: int [n], the category of each picture.
    """
    categories = np.unique(labels)
    most = max(1, min(MOST_PER_CATEGORY, MOST // max(1, len(categories))))
    rows = [evenly(np.flatnonzero(labels == own).tolist(), most) for own in categories]
    return np.array(sorted(row for own in rows for row in own), np.intp)


def distances(
    features: Array,
    reference: Array,
    groups: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
) -> Array:
    """Return how far pictures lie from the nearest of a reference, float32 [n].

    It is the mean of Euclidean distances between directions, 0..2, to the nearest five. The length
    of a feature vector tells of contrast and sharpness rather than of what is shown.

    Args:
        features: of n pictures, float32 [n, d].
        reference: of m pictures, float32 [m, d].
        groups: what each picture belongs to, int [n], and each of the reference, int [m]. Those of
            one group are not compared: they are more alike than new pictures will be. None if no
            two belong together.
    """
    return _distances_from(_directions(reference), features, groups)


def _distances_from(
    directions: Array,
    features: Array,
    groups: tuple[NDArray[np.integer], NDArray[np.integer]] | None = None,
) -> Array:
    """Return what `distances` does, from the directions of a reference."""
    found = np.empty(len(features), np.float32)
    for rows in _blocks(len(features)):
        squares = 2 - 2 * _directions(features[rows]) @ directions.T
        np.maximum(squares, 0, out=squares)
        if groups is not None:
            squares[groups[0][rows, np.newaxis] == groups[1]] = np.inf
        found[rows] = _mean_of_nearest(np.sqrt(squares))
    return found


def spread(reference: Array) -> float:
    """Return the median distance of the pictures of a reference from its others.

    Two models of one training differ in how far they lay pictures apart; in this unit their
    distances can be compared.

    Args:
        reference: features of m pictures, float32 [m, d].
    """
    own = np.arange(len(reference))
    return float(np.median(distances(reference, reference, (own, own)))) or 1.0


def _mean_of_nearest(far: Array) -> Array:
    """Return the mean of the least five of each row, or of those that there are."""
    count = min(NEIGHBOURS, far.shape[1])
    nearest = np.partition(far, count - 1, axis=1)[:, :count]
    known = np.isfinite(nearest)
    total = np.where(known, nearest, 0).sum(axis=1)
    return np.asarray(np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), 2.0))


def _directions(features: Array) -> Array:
    lengths: Any = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(lengths, 1e-12), np.float32)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, count, BLOCK))
