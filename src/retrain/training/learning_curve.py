"""What more pictures would bring: the head of fewer pictures, drawn on into the future.

Mistakes fall as a power of the number of pictures learned from, until only those are left that no
picture of the same kind helps against (Hestness et al. 2017, https://arxiv.org/abs/1712.00409).
Where that floor lies a few hundred pictures cannot tell, so there are two laws: one without a
floor, and one in which mistakes go as 1 / root above one. The truth is likely to be between.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from retrain.intervals import Interval, cross_fitted_share
from retrain.training.crossfit import CrossFitted
from retrain.training.examples import Examples, side_by_side
from retrain.training.regression import Exact

SHARES = (0.125, 0.25, 0.5)  # of the pictures that a fold's head learns from
DRAWS = 200  # of groups, for the uncertainty
STEEPEST = 1.0  # power: twice the pictures, half the mistakes
SEED = 0
GROWTH = 2.0  # how many times the pictures the future has


@dataclass(frozen=True)
class LearningCurve:
    """How accuracy grows with the pictures learned from.

    pictures: learned from, in the mean over folds, rising; the last are those of cross-fitting.
    accuracy: on all others, 0..1.
    doubled: expected with twice the pictures.
    interval: 95 % of that, from how groups fall, which law holds, and how far today's accuracy can
        be trusted.
    gains: of each category's accuracy with twice its pictures, float [k], NaN where none is judged.
    """

    pictures: tuple[float, ...]
    accuracy: tuple[float, ...]
    doubled: float
    interval: Interval
    gains: Exact

    @property
    def neediest(self) -> int | None:
        """The category that would gain most, by index; None where none would gain."""
        if np.isnan(self.gains).all() or np.nanmax(self.gains) <= 0:
            return None
        return int(np.nanargmax(self.gains))


def learning_curve(examples: Examples, crossed: CrossFitted) -> LearningCurve | None:
    """Fit the chosen head to shares of the pictures, whole groups at a time.

    The penalty stays in proportion: a share of the pictures bears so many times more of it.

    Args:
        examples: all that is learned from.
        crossed: what became of them.

    Returns:
        None where no picture is judged.
    """
    judged = crossed.judged
    if not judged.any():
        return None
    answers = [_answers(examples, crossed, share) for share in SHARES]
    every = float(np.mean([(crossed.fold != number).sum() for number in crossed.heads]))
    learned = np.array([*(pictures for _, pictures in answers), every])
    logits = np.stack([*(found for found, _ in answers), crossed.logits])[:, judged]
    labels, index = examples.labels[judged], examples.index[judged]
    wrong = logits.argmax(axis=2) != labels
    groups = [group for group, seen in zip(examples.groups, judged, strict=True) if seen]
    today = cross_fitted_share(~wrong[-1], groups, crossed.optimism.accuracy).interval
    doubled, interval = _ahead(learned, wrong, index, GROWTH * len(judged), today)
    belief = np.stack([_belief(one / crossed.chosen.temperature, labels) for one in logits])
    return LearningCurve(
        tuple(learned.tolist()),
        tuple((1 - wrong.mean(axis=1)).tolist()),
        doubled,
        interval,
        _gains(belief, labels, examples.categories),
    )


def _answers(
    examples: Examples, crossed: CrossFitted, share: float
) -> tuple[NDArray[np.float32], float]:
    """Return logits of heads of a share of the pictures, and how many they learned from."""
    penalty = crossed.chosen.penalty / share
    logits = np.full_like(crossed.logits, np.nan)

    def speak(number: int) -> int:
        rng = np.random.default_rng((SEED, number))  # so that small shares are within large ones
        rows = _part(examples, np.flatnonzero(crossed.fold != number), share, rng)
        own = crossed.fold == number
        logits[own] = examples.rough_head(rows, penalty).logits(examples.features[own])
        return len(rows)

    with threadpool_limits(limits=1, user_api="blas"):  # see docs/decisions.md
        counts = side_by_side(speak, list(crossed.heads))
    return logits, float(np.mean(counts))


def _part(
    examples: Examples, rows: NDArray[np.integer], share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw whole groups until each category has its share of pictures, and at least one."""
    labels, index = examples.labels[rows], examples.index[rows]
    wanted = share * np.bincount(labels, minlength=examples.categories)
    table = np.zeros((int(index.max()) + 1, examples.categories), np.int64)
    np.add.at(table, (index, labels), 1)
    have = np.zeros(examples.categories, np.int64)
    taken = np.zeros(len(table), bool)
    for group in rng.permutation(np.unique(index)):
        own = table[group] > 0
        if ((have < np.maximum(wanted, 1)) & own).any():
            taken[group] = True
            have += table[group]
    return np.asarray(rows[taken[index]], np.int64)


def _belief(logits: NDArray[np.float32], labels: NDArray[np.integer]) -> Exact:
    """Return how far the true category leads, squashed to 0..1: smoother than right or wrong."""
    rows = np.arange(len(labels))
    others = logits.astype(np.float64)
    true = others[rows, labels].copy()
    others[rows, labels] = -np.inf
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(others.max(axis=1) - true)))


def _ahead(
    learned: Exact,
    wrong: NDArray[np.bool_],
    index: NDArray[np.integer],
    future: float,
    today: Interval,
) -> tuple[float, Interval]:
    """Return the accuracy that is expected of so many pictures, and 95 % of it.

    Mistakes that are not in the pictures are in no draw. So where today's accuracy may be lower or
    higher, what comes of it is, too, as far as a law does not make up for it.

    Args:
        learned: pictures of each point, rising, float [p].
        wrong: bool [p, n].
        index: of each picture's group, n.
        future: pictures to learn from.
        today: the interval of the last point's accuracy.
    """
    _, index = np.unique(index, return_inverse=True)
    sizes = np.bincount(index)
    by_group = np.stack([np.bincount(index, row.astype(np.float64)) for row in wrong])
    evenly = np.full(len(sizes), 1 / len(sizes))
    draws = np.random.default_rng(SEED).multinomial(len(sizes), evenly, DRAWS)
    drawn = (draws @ by_group.T) / (draws @ sizes)[:, None]
    least = 0.5 / len(index)  # of mistakes: no mistake on n pictures is no proof of none
    drawn, errors = np.maximum(drawn, least), np.maximum(wrong.mean(axis=1), least)
    spread = np.array([_laws(learned, one, future) for one in drawn])
    doubled = 1 - float(np.mean(_laws(learned, errors, future)))
    low, high = 1 - np.quantile(spread, (0.975, 0.025))
    most, fewest = np.quantile(spread / drawn[:, -1:], (0.975, 0.025))  # share of mistakes left
    low = min(float(low), 1 - (1 - today[0]) * float(most))
    high = max(float(high), 1 - (1 - today[1]) * float(fewest))
    return doubled, (min(low, doubled), max(high, doubled))


def _laws(learned: Exact, errors: Exact, future: float) -> tuple[float, float]:
    """Return the share of mistakes, 0..1, that each law expects of so many pictures."""
    power = -float(np.polyfit(np.log(learned), np.log(errors), 1)[0])
    without = errors[-1] * (learned[-1] / future) ** float(np.clip(power, 0.0, STEEPEST))
    floor = float(np.clip(np.polyfit(learned**-0.5, errors, 1)[1], 0.0, errors[-1]))
    above = floor + (errors[-1] - floor) * (learned[-1] / future) ** 0.5
    return float(without), float(above)


def _gains(belief: Exact, labels: NDArray[np.integer], categories: int) -> Exact:
    """Return what each category gains with twice the pictures.

    By the root's law a doubling brings 1 / root 2 of what the doubling before it brought.
    """
    count = np.bincount(labels, minlength=categories)
    last = np.bincount(labels, belief[-1] - belief[-2], categories) / np.sqrt(2)
    return np.asarray(np.divide(last, count, out=np.full(categories, np.nan), where=count > 0))
