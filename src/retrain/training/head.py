"""The head on bottleneck features: multinomial logistic regression, solved to its optimum.

The problem is convex, so L-BFGS finds the one solution in a second or two; there is no learning
rate and no number of epochs, only the strength of the L2 penalty, which the loss on pictures
chooses that the head has not learned from.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from retrain.config import HeadConfig
from retrain.metrics import error_rate, log_loss, macro_f1, softmax
from retrain.progress import Reporter
from retrain.training.balance import prior_shift
from retrain.training.calibration import Calibration, calibrated_loss, fit_temperature
from retrain.training.crossfit import Trial, cross_fit, walk
from retrain.training.examples import Examples
from retrain.training.folds import UNJUDGED, assign_folds
from retrain.training.regression import Array, Linear, Point, Regression

COLUMNS = ("penalty", "train loss", "judged loss", "valid loss", "error rate", "time")
Data = tuple[Array, NDArray[np.integer]]


@dataclass(frozen=True)
class Head:
    """A linear head and what it is worth.

    kernel: float32 [d, k]. bias: float32 [k]. penalty: of its fit. calibration: its temperature.
    valid_loss, error_rate, macro_f1: on validation data, NaN where there is none. judged_loss: on
    the pictures that choose penalty and temperature. All losses are at that temperature, but the
    judged one of cross-fitted pictures, which is at those of the other folds.
    """

    kernel: Array
    bias: Array
    penalty: float
    calibration: Calibration
    train_loss: float
    valid_loss: float
    error_rate: float
    macro_f1: float
    judged_loss: float
    seconds: float

    def logits(self, features: Array) -> Array:
        """Return float32 [n, k] for features [n, d]."""
        return Linear(self.kernel, self.bias).logits(features)


def fit_head(
    train: Data,
    valid: Data,
    keys: Sequence[str],
    categories: int,
    config: HeadConfig,
    weights: NDArray[np.float64] | None,
    report: Reporter,
) -> list[Head]:
    """Fit one head per penalty, each starting from the one before.

    Few pictures for validation choose badly among penalties and temperatures. Where they are
    fewer than `config.enough_to_judge`, heads fitted on four fifths of the training pictures
    speak about the last fifth, and these answers judge.

    Args:
        train: features [n, d] and labels [n]; large sets are not copied but for their order.
        valid: the same for validation; may be empty.
        keys: of the training pictures; those of one key stay in one fifth.
        categories: k.
        config: the penalties.
        weights: of a picture by its category, float [k]; None for all the same. Scores stay
            those of categories as frequent as they are.
        report: shows a row a penalty.
    """
    row_out = report.table(COLUMNS)
    fold = assign_folds(keys, train[1], config.folds).of_picture
    judged = int((fold != UNJUDGED).sum())
    heads: list[Head] = []

    def add(trial: Trial) -> None:
        heads.append(_head(trial, train, valid, source))
        row_out(_cells(heads[-1]))

    if len(valid[1]) >= config.enough_to_judge or not judged:
        source = ("validation", len(valid[1]))
        for trial in _judged_by_validation(train, valid, categories, config, weights):
            add(trial)
    else:
        source = ("training, cross-fitted", judged)
        cross_fit(Examples(*train, keys, weights), fold, config, add)
    return heads


def best_head(heads: list[Head]) -> Head:
    """Return the head of the lowest judged loss; the middle one if nothing could judge."""
    if any(math.isnan(head.judged_loss) for head in heads):
        return heads[len(heads) // 2]
    return min(heads, key=lambda head: head.judged_loss)


def _judged_by_validation(
    train: Data,
    valid: Data,
    categories: int,
    config: HeadConfig,
    weights: NDArray[np.float64] | None,
) -> list[Trial]:
    trials: list[Trial] = []
    with threadpool_limits(limits=1, user_api="blas"):  # see docs/decisions.md
        problem = Regression([train[0]], train[1], categories, weights)
        point: Point | None = None

        def loss_at(penalty: float) -> float:
            nonlocal point
            start = time.monotonic()
            point = problem.solve(penalty, point, config.iterations)
            raw = problem.linear(point)
            head = Linear(raw.kernel, np.asarray(raw.bias - prior_shift(weights), np.float32))
            logits = head.logits(valid[0])
            temperature = fit_temperature(logits, valid[1])
            loss = calibrated_loss(logits, valid[1])
            trials.append(Trial(penalty, head, temperature, loss, time.monotonic() - start))
            return loss

        if len(valid[1]):
            walk(config.strengths, loss_at)
        else:
            loss_at(config.strengths[len(config.strengths) // 2])
    return trials


def _head(trial: Trial, train: Data, valid: Data, source: tuple[str, int]) -> Head:
    on_valid = trial.head.logits(valid[0])
    temperature = trial.temperature
    return Head(
        trial.head.kernel,
        trial.head.bias,
        trial.penalty,
        Calibration(temperature, *source),
        train_loss=log_loss(softmax(trial.head.logits(train[0]), temperature), train[1]),
        valid_loss=log_loss(softmax(on_valid, temperature), valid[1]),
        error_rate=error_rate(on_valid, valid[1]),
        macro_f1=macro_f1(on_valid, valid[1]),
        judged_loss=trial.judged_loss,
        seconds=trial.seconds,
    )


def _cells(head: Head) -> list[str]:
    return [
        f"{head.penalty:g}",
        f"{head.train_loss:.4f}",
        f"{head.judged_loss:.4f}",
        f"{head.valid_loss:.4f}",
        f"{head.error_rate:.4f}",
        f"{head.seconds:.1f} s",
    ]
