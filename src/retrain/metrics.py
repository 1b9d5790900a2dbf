"""Pure numbers: accuracy with its interval, F1, confusion, log loss. No files, no TensorFlow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

TOP_K = (2, 3, 5)
CALIBRATION_BINS = 15
LARGEST_MATRIX = 200  # categories whose confusion matrix goes into JSON
Z95 = 1.959963984540054  # the normal quantile of a two-sided 95 % interval


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float32]:
    """Return probabilities float32 [n, k] of logits [n, k]."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def log_loss(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the mean negative log probability of the true labels; NaN where there are none.

    Args:
        probabilities: float [n, k], rows sum to 1.
        labels: int [n], indices of the true categories.
    """
    if len(labels) == 0:
        return math.nan
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(true, 1e-7, 1.0)).mean())


def error_rate(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the share of rows whose highest score is wrong; NaN where there are none."""
    if len(labels) == 0:
        return math.nan
    return float((scores.argmax(axis=1) != labels).mean())


def calibration_error(probabilities: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the expected calibration error, 0..1; NaN where there are no labels.

    The best guesses are sorted by their score into bins of equal width; the error is the mean
    distance between score and accuracy over pictures (Guo et al. 2017,
    https://arxiv.org/abs/1706.04599). With few pictures it is mostly noise, and biased upwards.
    """
    if len(labels) == 0:
        return math.nan
    scores = probabilities.max(axis=1).astype(np.float64)
    surplus = scores - (probabilities.argmax(axis=1) == labels)
    return float(np.abs(np.bincount(confidence_bins(scores), surplus)).sum() / len(labels))


def confidence_bins(
    scores: NDArray[np.floating], bins: int = CALIBRATION_BINS
) -> NDArray[np.int64]:
    """Return the bin of each score, int [n]; bins are of equal width."""
    return np.minimum((scores * bins).astype(np.int64), bins - 1)


def top_k_accuracy(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], k: int
) -> float:
    """Return how often the true category is among the best k; NaN where there are no labels."""
    if len(labels) == 0:
        return math.nan
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    hits: NDArray[np.bool_] = (best == labels[:, np.newaxis]).any(axis=1)
    return float(hits.mean())


@dataclass(frozen=True)
class ReliabilityBin:
    """Best guesses with similar scores. score, accuracy: means, 0..1."""

    score: float
    accuracy: float
    pictures: int


def reliability(
    scores: NDArray[np.floating], right: NDArray[np.bool_], bins: int = 10
) -> tuple[ReliabilityBin, ...]:
    """Sort guesses by score into bins of equal width; return those with pictures, rising.

    Args:
        scores: of the best guesses, float [n], 0..1.
        right: whether they are, bool [n].
        bins: at most.
    """
    index = confidence_bins(scores, bins)
    return tuple(
        ReliabilityBin(
            score=float(scores[chosen].mean(dtype=np.float64)),
            accuracy=float(right[chosen].mean()),
            pictures=int(chosen.sum()),
        )
        for chosen in (index == i for i in range(bins))
        if chosen.any()
    )


def sign_flip(first: NDArray[np.bool_], second: NDArray[np.bool_], groups: Sequence[str]) -> float:
    """Return the exact two-sided p-value of two models' being right equally often.

    Were they equal, either could be behind each group's answers: how much one leads in a group may
    as well have the other sign (Fisher 1935, The design of experiments, 21). The p-value is the
    share of all choices of signs that make as large a lead. Where no pictures belong together it
    is McNemar's (1947).

    Args:
        first: whether the first model is right, bool [n].
        second: the same of the second.
        groups: of each picture, n.

    >>> round(sign_flip(np.array([True] * 6), np.array([False] * 6), list("abcdef")), 5)
    0.03125
    >>> round(sign_flip(np.array([True] * 6), np.array([False] * 6), list("aaabbb")), 5)
    0.5
    """
    _, index = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    leads = np.bincount(index, first.astype(np.float64) - second).astype(np.int64)
    sizes, counts = np.unique(np.abs(leads[leads != 0]), return_counts=True)
    chances = np.ones(1)  # of each sum of leads, the lowest first
    for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
        steps = np.zeros(2 * size * count + 1)
        steps[:: 2 * size] = _coin(count)
        chances = np.convolve(chances, steps)
    reach = len(chances) // 2
    as_large = np.abs(np.arange(-reach, reach + 1)) >= abs(int(leads.sum()))
    return min(1.0, float(chances[as_large].sum()))


def _coin(count: int) -> NDArray[np.float64]:
    """Return the chance of each number of heads in so many throws, float64 [count + 1]."""
    ways = [
        math.lgamma(count + 1) - math.lgamma(i + 1) - math.lgamma(count - i + 1)
        for i in range(count + 1)
    ]
    return np.exp(np.array(ways) - count * math.log(2))


def macro_f1(scores: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the mean F1 of the best guesses over the labels' categories; NaN without labels."""
    if len(labels) == 0:
        return math.nan
    cells = confusion_matrix(labels, scores.argmax(axis=1), scores.shape[1])
    seen = cells.sum(axis=1) > 0
    hits, sums = np.diag(cells), cells.sum(axis=0) + cells.sum(axis=1)
    return float((2 * hits[seen] / sums[seen]).mean())


def wilson_interval(correct: float, total: float) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927), sane for 0, for all and for few.

    >>> [round(bound, 3) for bound in wilson_interval(10, 10)]
    [0.722, 1.0]
    """
    if total == 0:
        return (0.0, 1.0)
    share, z2 = correct / total, Z95 * Z95
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    # Rounding must not leave the share itself out.
    low, high = min(share, centre - half), max(share, centre + half)
    return (max(0.0, low), min(1.0, high))


def margins(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far the best category leads the second, float32 [n], for logits [n, k]."""
    ordered = np.partition(logits, -2, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def confusion_matrix(
    labels: NDArray[np.integer], guesses: NDArray[np.integer], categories: int
) -> NDArray[np.int64]:
    """Return int64 [k, k]: row = true category, column = guessed category."""
    cells = labels.astype(np.int64) * categories + guesses
    return np.bincount(cells, minlength=categories**2).reshape(categories, categories)


@dataclass(frozen=True)
class CategoryScore:
    """One category's precision, recall and F1 (0..1) and its number of pictures."""

    category: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """How good a model is on some pictures.

    interval: 95 %, of the accuracy.
    macro_f1: mean over the categories that occur there.
    top_k: accuracy if the best k count, by k, as far as there are more categories.
    groups: of pictures that belong together; None where that was not looked at.
    effective: how many pictures without relatives would tell as much.
    intervals: 95 %, of other figures by their names; None where there are too few groups.
    """

    pictures: int
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    top_k: Mapping[int, float]
    log_loss: float
    calibration_error: float
    reliability: tuple[ReliabilityBin, ...]
    categories: tuple[CategoryScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    groups: int | None = None
    effective: float | None = None
    intervals: Mapping[str, tuple[float, float]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain lists, dicts and numbers, ready for JSON.

        The confusion matrix is left out where it is too large to be read.
        """
        matrix = [list(row) for row in self.confusion]
        grouped = {"groups": self.groups, "effective_pictures": self.effective}
        return {
            "pictures": self.pictures,
            **(grouped if self.groups is not None else {}),
            "accuracy": self.accuracy,
            "interval_95": list(self.interval),
            "macro_f1": self.macro_f1,
            "top_k": {str(k): share for k, share in self.top_k.items()},
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
            **{f"{name}_interval_95": list(both) for name, both in (self.intervals or {}).items()},
            "reliability": [vars(one) for one in self.reliability],
            "categories": [vars(score) for score in self.categories],
            **({"confusion": matrix} if len(matrix) <= LARGEST_MATRIX else {}),
        }


def evaluate_guesses(
    truth: NDArray[np.integer],
    guesses: NDArray[np.integer],
    scores: NDArray[np.floating],
    losses: NDArray[np.floating],
    categories: Sequence[str],
) -> Evaluation:
    """Score guesses whose probabilities of other categories are not known; at least one.

    Args:
        truth: the true category of each picture, int [n].
        guesses: int [n].
        scores: of the guesses, float [n], 0..1.
        losses: minus the logarithm of the true category's probability, float [n].
        categories: k names.

    Returns:
        An evaluation without `top_k`.
    """
    confusion = confusion_matrix(truth, guesses, len(categories))
    by_category = category_scores(confusion, categories)
    bins = reliability(scores, guesses == truth, CALIBRATION_BINS)
    correct, total = int(np.trace(confusion)), len(truth)
    return Evaluation(
        pictures=total,
        accuracy=correct / total,
        interval=wilson_interval(correct, total),
        macro_f1=float(np.mean([one.f1 for one in by_category if one.support])),
        top_k={},
        log_loss=float(np.mean(losses)),
        calibration_error=sum(abs(b.score - b.accuracy) * b.pictures for b in bins) / total,
        reliability=reliability(scores, guesses == truth),
        categories=by_category,
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
    )


def evaluate(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], categories: Sequence[str]
) -> Evaluation | None:
    """Score probabilities float [n, k] against labels int [n]; None where n is 0."""
    total = len(labels)
    if total == 0:
        return None
    guesses = probabilities.argmax(axis=1)
    confusion = confusion_matrix(labels, guesses, len(categories))
    scores = category_scores(confusion, categories)
    seen = [score.f1 for score in scores if score.support]
    correct = int(np.trace(confusion))
    return Evaluation(
        pictures=total,
        accuracy=correct / total,
        interval=wilson_interval(correct, total),
        macro_f1=float(np.mean(seen)),
        top_k={k: top_k_accuracy(probabilities, labels, k) for k in TOP_K if k < len(categories)},
        log_loss=log_loss(probabilities, labels),
        calibration_error=calibration_error(probabilities, labels),
        reliability=reliability(probabilities.max(axis=1), guesses == labels),
        categories=scores,
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
    )


def category_scores(
    confusion: NDArray[np.int64], categories: Sequence[str]
) -> tuple[CategoryScore, ...]:
    """Return the scores of each category, from a confusion matrix [k, k]."""
    return tuple(_score(name, i, confusion) for i, name in enumerate(categories))


def _score(name: str, index: int, confusion: NDArray[np.int64]) -> CategoryScore:
    hits = int(confusion[index, index])
    guessed, support = int(confusion[:, index].sum()), int(confusion[index].sum())
    return CategoryScore(
        category=name,
        precision=hits / guessed if guessed else 0.0,
        recall=hits / support if support else 0.0,
        f1=2 * hits / (guessed + support) if guessed + support else 0.0,
        support=support,
    )
