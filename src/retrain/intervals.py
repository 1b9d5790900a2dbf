"""Intervals for pictures that come in groups: frames of one film tell less than as many strangers.

Pure numbers. A *group* is a joined key: pictures that belong together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain.metrics import CALIBRATION_BINS, Evaluation, confidence_bins, wilson_interval

Interval = tuple[float, float]
Exact = NDArray[np.float64]

DOUBT = 4.0  # groups with a mistake that the belief weighs that groups fail as a whole
SHARED = 1.1  # cross-fitted intervals are so much wider, as fits share data; docs/trust.md
DRAWS = 300  # of groups
LAST_FIFTH = 0.2  # of the mistakes, at most: what the last fifth of the pictures may teach


@dataclass(frozen=True)
class Share:
    """A share of pictures that are right, with what it can be trusted to.

    effective: how many pictures without relatives would tell as much; never more than there are.
    interval: 95 %.
    """

    share: float
    pictures: int
    groups: int
    effective: float
    interval: Interval


def share_of_groups(right: NDArray[np.bool_], groups: Sequence[str]) -> Share:
    """Return the share of right pictures and its interval, allowing for groups.

    The interval is Wilson's for the effective number of pictures; it is never narrower than that
    of as many pictures without relatives.

    Args:
        right: bool [n], of pictures that nobody learned from.
        groups: of each picture, n.
    """
    return _share(right, groups, 0.0, 1.0)


def cross_fitted_share(
    right: NDArray[np.bool_], groups: Sequence[str], optimism: float = 0.0
) -> Share:
    """Return the same for cross-fitted answers, whose intervals must be wider.

    The fits share data, so that their mistakes come together; and the head that is published has
    learned from all pictures, not four fifths, so that it may be better than they are.

    Args:
        right: bool [n].
        groups: of each picture, n.
        optimism: what the share is known to be too high by; it is taken off.
    """
    found = _share(right, groups, optimism, SHARED)
    low, high = found.interval
    high = min(1.0, high + LAST_FIFTH * (1 - found.share)) if found.pictures else high
    return replace(found, interval=(low, high))


def with_share(found: Evaluation, share: Share) -> Evaluation:
    """Return an evaluation with a share of right pictures in place of its own accuracy."""
    return replace(
        found,
        accuracy=share.share,
        interval=share.interval,
        groups=share.groups,
        effective=share.effective,
    )


def _share(
    right: NDArray[np.bool_], groups: Sequence[str], optimism: float, widened: float
) -> Share:
    total = len(right)
    if total == 0:
        return Share(math.nan, 0, 0, 0.0, (0.0, 1.0))
    effective = effective_pictures(right, groups)
    share = max(0.0, float(right.mean()) - optimism)
    told_by = effective / widened**2
    interval = wilson_interval(share * told_by, told_by)
    return Share(share, total, len(set(groups)), effective, interval)


def effective_pictures(right: NDArray[np.bool_], groups: Sequence[str]) -> float:
    """Return how many pictures without relatives would tell as much about the share of right ones.

    n over the design effect 1 + (m - 1) r (Kish 1965): m is the size of a picture's group in the
    mean over pictures, and r how alike pictures of one group fare, from 0 (as strangers do) to 1
    (all right or all wrong), which the variance between groups shows. Few groups with a mistake
    show little of it: then r is drawn towards 1.

    Returns:
        From 1 to n.
    """
    total = len(right)
    _, index = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    sizes = np.bincount(index).astype(np.float64)
    size = float((sizes**2).sum() / total)
    if size <= 1.0:
        return float(total)
    wrong = np.bincount(index, ~right).astype(np.float64)
    alike = _alikeness(wrong, sizes, float(wrong.sum() / total))
    failing = min(int((wrong > 0).sum()), int((wrong < sizes).sum()))
    alike = (failing * alike + DOUBT) / (failing + DOUBT)
    return float(total / (1.0 + (size - 1.0) * alike))


def _alikeness(wrong: NDArray[np.float64], sizes: NDArray[np.float64], share: float) -> float:
    """Return the correlation of pictures within groups, 0..1, weighing pairs of pictures alike."""
    spread = share * (1.0 - share)
    pairs = float((sizes * (sizes - 1.0)).sum())
    if spread == 0.0 or pairs == 0.0:
        return 0.0
    own = (wrong - sizes * share) ** 2  # sum over i, j of (x_i - p)(x_j - p), i = j included
    same = wrong * (1 - share) ** 2 + (sizes - wrong) * share**2
    return min(1.0, max(0.0, float((own - same).sum()) / (pairs * spread)))


def figure_intervals(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    groups: Sequence[str],
    accuracy: Interval,
) -> dict[str, Interval] | None:
    """Return 95 % intervals of `macro_f1`, `log_loss` and `calibration_error`, cross-fitted.

    By a bootstrap of groups. It sees no mistakes but those that were made, so what the accuracy may
    be in truth widens all three. Scores look worse calibrated on few pictures than they are, which
    the draws show once more and which is taken off.

    Args:
        probabilities: float [n, k], of pictures that their head had not seen.
        labels: int [n].
        groups: of each picture, n.
        accuracy: its interval.

    Returns:
        None for fewer than two groups.
    """
    names, index = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    if len(names) < 2:
        return None
    evenly = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(0).multinomial(len(names), evenly, DRAWS)
    times = np.concatenate([np.ones((1, len(names))), drawn])  # the first is the figure itself
    scores, guesses = probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1)
    rows, right = np.arange(len(labels)), guesses == labels
    losses = -np.log(np.clip(probabilities[rows, labels].astype(np.float64), 1e-7, 1.0))

    def sums(column: NDArray[np.integer], columns: int, values: Exact | None = None) -> Exact:
        """Return the sum of values, or the count, in each column and draw."""
        cells = index * columns + column
        found = np.bincount(cells, values, len(names) * columns)
        return np.asarray(times @ found.reshape(len(names), columns).astype(np.float64))

    one, categories = np.zeros(len(labels), np.int64), probabilities.shape[1]
    pictures = sums(one, 1)[:, 0]
    hits = sums(labels, categories, right.astype(np.float64))
    support, guessed = sums(labels, categories), sums(guesses, categories)
    f1 = 2 * hits / np.maximum(support + guessed, 1)
    macro_f1 = np.where(support > 0, f1, 0).sum(axis=1) / (support > 0).sum(axis=1)
    log_loss = sums(one, 1, losses)[:, 0] / pictures
    surplus = sums(confidence_bins(scores), CALIBRATION_BINS, scores - right)
    calibration = np.abs(surplus).sum(axis=1) / pictures
    calibration[1:] = 2 * calibration[0] - calibration[1:]
    share, sure = float(right.mean()), float(scores.mean())
    lower, upper = share - accuracy[0], accuracy[1] - share
    far = max(abs(sure - end) for end in accuracy)  # then the scores are at least so far off
    return {
        "macro_f1": _quantiles(macro_f1, lower, upper, 1.0),
        "log_loss": _quantiles(log_loss, 0.0, lower * math.log(2)),  # which a mistake costs
        "calibration_error": _quantiles(calibration, 0.0, far - float(calibration[0]), 1.0),
    }


def _quantiles(figures: Exact, lower: float, upper: float, most: float = math.inf) -> Interval:
    """Return 95 % of what was drawn, widened as fits share data, around the first figure.

    Args:
        figures: the figure itself, then one of each draw.
        lower: how far the lower end is from the figure at least.
        upper: the same of the upper end.
        most: that a figure can be.
    """
    figure = float(figures[0])
    below, above = figure - np.quantile(figures[1:], (0.025, 0.975))
    low = figure - max(lower, SHARED * float(below), 0.0)
    high = figure + max(upper, -SHARED * float(above), 0.0)
    return max(0.0, low), min(most, high)
