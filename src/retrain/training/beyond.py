"""How a head fares on pictures unlike those it learned from: a stress test on the user's pictures.

Each category's pictures are sorted into clusters of look-alikes (k-means on features), and whole
clusters are held out; beside it, as many random pictures. What counts is the difference: both heads
have learned from as much. It is no forecast: nobody knows how unlike new pictures will be.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from retrain.intervals import effective_pictures
from retrain.metrics import wilson_interval
from retrain.training.crossfit import held_out_logits
from retrain.training.examples import Examples
from retrain.training.folds import UNJUDGED
from retrain.training.regression import Array, Exact

CLUSTERS = 5  # a category
SEEDS = 5
ROUNDS = 20  # of k-means
LONGEST = 64  # principal axes along which pictures are alike or not


@dataclass(frozen=True)
class Beyond:
    """What is right with whole clusters held out, and with as many random pictures.

    accuracy, random: means over seeds, 0..1. interval: 95 % of the first, allowing for groups and
    for how clusters fall. pictures: that were judged. by_category: drop of each category's
    accuracy, float [k], NaN where none of its pictures is judged.
    """

    accuracy: float
    interval: tuple[float, float]
    random: float
    pictures: int
    by_category: Exact

    @property
    def drop(self) -> float:
        """How much accuracy is lost because the pictures are unlike, not because they are fewer."""
        return self.random - self.accuracy


def beyond(examples: Examples, penalty: float, seeds: int = SEEDS) -> Beyond | None:
    """Hold out whole clusters of joined keys, and random ones of the same sizes.

    Args:
        examples: all that is learned from.
        penalty: of the published head.
        seeds: how often it is done.

    Returns:
        None where nothing can be held out: every category is one group.
    """
    keys, labels = _Keys(examples), examples.labels
    unlike = np.full((seeds, len(labels)), np.nan)
    beside = unlike.copy()
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        clusters = keys.clusters(rng)
        for fold, answers in ((clusters, unlike), (keys.shuffled(clusters, rng), beside)):
            logits = held_out_logits(examples, fold, penalty)
            right = (logits.argmax(axis=1) == labels).astype(np.float64)
            answers[seed] = np.where(fold == UNJUDGED, np.nan, right)
    judged = ~np.isnan(unlike).any(axis=0) & ~np.isnan(beside).any(axis=0)
    if not judged.any():
        return None
    unlike, beside = unlike[:, judged], beside[:, judged]
    own, count = labels[judged], examples.categories
    pictures = np.bincount(own, minlength=count)
    lost = np.bincount(own, (beside - unlike).mean(axis=0), count)
    return Beyond(
        float(unlike.mean()),
        _interval(
            unlike, [group for group, seen in zip(examples.groups, judged, strict=True) if seen]
        ),
        float(beside.mean()),
        int(judged.sum()),
        np.divide(lost, pictures, out=np.full(count, np.nan), where=pictures > 0),
    )


def _interval(right: Exact, groups: Sequence[str]) -> tuple[float, float]:
    """Return 95 % for the mean of `right` [seeds, n], for the chance in pictures and in seeds."""
    share = float(right.mean())
    told_by = float(np.mean([effective_pictures(row > 0, groups) for row in right]))
    of_seeds = float(right.mean(axis=1).var(ddof=1)) / len(right) if len(right) > 1 else 0.0
    spread = share * (1 - share)
    if spread > 0:
        told_by = spread / (spread / told_by + of_seeds)
    return wilson_interval(share * told_by, told_by)


class _Keys:
    """Joined keys with the mean of what tells their pictures apart."""

    def __init__(self, examples: Examples) -> None:
        self.index, self.labels = examples.index, examples.labels
        self.sizes = np.bincount(self.index)
        labels = range(examples.categories)
        self.of_label = [np.unique(self.index[self.labels == label]) for label in labels]
        alone = np.bincount(np.concatenate(self.of_label)) == 1
        own = [keys[alone[keys]] for keys in self.of_label]
        self.families = [keys for keys in (*own, np.flatnonzero(~alone)) if len(keys)]
        places = examples.axes.coordinates(examples.features, LONGEST)
        self.means = self._means(places, alone)

    def _means(self, places: Array, alone: NDArray[np.bool_]) -> Exact:
        """Return where each key lies, seen from the middle, float64 [keys, axes] of length 1.

        Lengths would make clusters of a few strange pictures, and leave all others in one; random
        pictures of such sizes are missed almost as much. For keys of several categories the middle
        is each category's own.
        """
        means = np.zeros((len(self.sizes), places.shape[1]))
        for label, keys in enumerate(self.of_label):
            rows = np.flatnonzero(self.labels == label)
            centre = 0.0 if alone[keys].all() else places[rows].mean(axis=0)
            np.add.at(means, self.index[rows], places[rows] - centre)
        return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12))

    def clusters(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the cluster of each picture, int64 [n].

        Keys of one category are sorted among themselves; those that are in several, as persons may
        be who show all signs, by what is left of their features without their categories'.
        `UNJUDGED`: keys of categories that would be held out whole.
        """
        found = np.zeros(len(self.sizes), np.int64)
        for keys in self.families:
            parts = _k_means(self.means[keys], min(CLUSTERS, len(keys)), rng)
            found[keys] = rng.permutation(CLUSTERS)[parts]
        return self._judgeable(found)

    def shuffled(self, clusters: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Deal the same keys out at random, to clusters of about the same numbers of pictures."""
        found = np.zeros(len(self.sizes), np.int64)
        found[self.index] = clusters
        for keys in self.families:
            own = keys[found[keys] != UNJUDGED]
            room = np.bincount(found[own], self.sizes[own], CLUSTERS)
            for key in rng.permutation(own):
                found[key] = int(room.argmax())
                room[found[key]] -= self.sizes[key]
        return self._judgeable(found)

    def _judgeable(self, by_key: NDArray[np.int64]) -> NDArray[np.int64]:
        for keys in self.of_label:
            if len(np.unique(by_key[keys])) == 1:
                by_key[keys] = UNJUDGED
        return by_key[self.index]


def _k_means(points: Exact, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if (points == points[0]).all():
        return np.zeros(len(points), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster is no harm
        parts = kmeans2(points, count, iter=ROUNDS, minit="++", rng=rng)[1]
    return np.asarray(parts, np.int64)
