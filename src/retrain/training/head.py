"""The head on bottleneck features: multinomial logistic regression, solved to its optimum.

The problem is convex, so L-BFGS finds the one solution in a second or two; there is no learning
rate and no number of epochs, only the strength of the L2 penalty, which the loss on pictures
chooses that the head has not learned from.
"""

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits

from retrain.config import HeadConfig
from retrain.data.split import position
from retrain.metrics import error_rate, log_loss, macro_f1, softmax
from retrain.progress import Reporter
from retrain.training.balance import prior_shift
from retrain.training.calibration import Calibration, fit_temperature

Array = NDArray[np.float32]

ROWS_AT_ONCE = 4096  # of features in float64
COLUMNS = ("penalty", "train loss", "judged loss", "valid loss", "error rate", "time")


@dataclass(frozen=True)
class Head:
    """A linear head and what it is worth.

    kernel: float32 [d, k]. bias: float32 [k]. penalty: of its fit. calibration: its temperature.
    valid_loss, error_rate, macro_f1: on validation data, NaN where there is none. judged_loss: on
    the pictures that choose penalty and temperature. All losses are at that temperature.
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
        return np.asarray(features @ self.kernel + self.bias, np.float32)


@dataclass(frozen=True)
class Judges:
    """Logits float32 [n, k] of each penalty on pictures that its head did not learn from.

    source: where they come from, as metrics.json and people read it.
    """

    logits: Sequence[Array]
    labels: NDArray[np.integer]
    source: str


def fit_head(
    train: tuple[Array, NDArray[np.integer]],
    valid: tuple[Array, NDArray[np.integer]],
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
        train: features [n, d] and labels [n]; neither is copied.
        valid: the same for validation; may be empty.
        keys: of the training pictures; those of one key stay in one fifth.
        categories: k.
        config: the penalties.
        weights: of a picture by its category, float [k]; None for all the same. Scores stay
            those of categories as frequent as they are.
        report: shows a row a penalty.
    """
    row_out = report.table(COLUMNS)
    heads: list[Head] = []
    start = time.monotonic()
    with threadpool_limits(limits=1, user_api="blas"):  # see docs/decisions.md
        path = _path(*train, categories, config, weights)
        judges = _judges(path, train, valid, keys, categories, config, weights)
    seconds = (time.monotonic() - start) / len(path)
    for (kernel, bias), penalty, judged in zip(path, config.strengths, judges.logits, strict=True):
        temperature = fit_temperature(judged, judges.labels)
        on_train = softmax(train[0] @ kernel + bias, temperature)
        on_valid = valid[0] @ kernel + bias
        heads.append(
            Head(
                kernel,
                bias,
                penalty,
                Calibration(temperature, judges.source, len(judges.labels)),
                train_loss=log_loss(on_train, train[1]),
                valid_loss=log_loss(softmax(on_valid, temperature), valid[1]),
                error_rate=error_rate(on_valid, valid[1]),
                macro_f1=macro_f1(on_valid, valid[1]),
                judged_loss=log_loss(softmax(judged, temperature), judges.labels),
                seconds=seconds,
            )
        )
        row_out(_cells(heads[-1]))
    return heads


def best_head(heads: list[Head]) -> Head:
    """Return the head of the lowest judged loss; the middle one if nothing could judge."""
    if any(math.isnan(head.judged_loss) for head in heads):
        return heads[len(heads) // 2]
    return min(heads, key=lambda head: head.judged_loss)


def _path(
    features: Array,
    labels: NDArray[np.integer],
    categories: int,
    config: HeadConfig,
    weights: NDArray[np.float64] | None,
) -> list[tuple[Array, Array]]:
    """Return kernel and bias for each penalty."""
    problem = _Problem(features, labels, categories, weights)
    solution, found = np.zeros(problem.size), []
    for penalty in config.strengths:
        solution = minimize(
            problem.loss_and_gradient,
            solution,
            args=(penalty,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": config.iterations},
        ).x
        kernel, bias = problem.unscaled(solution)
        found.append((kernel, np.asarray(bias - prior_shift(weights), np.float32)))
    return found


def _judges(
    path: list[tuple[Array, Array]],
    train: tuple[Array, NDArray[np.integer]],
    valid: tuple[Array, NDArray[np.integer]],
    keys: Sequence[str],
    categories: int,
    config: HeadConfig,
    weights: NDArray[np.float64] | None,
) -> Judges:
    features, labels = train
    fold = folds(keys, labels, config.folds)
    seen = fold >= 0
    if len(valid[1]) >= config.enough_to_judge or not seen.any():
        logits = [np.asarray(valid[0] @ kernel + bias, np.float32) for kernel, bias in path]
        return Judges(logits, valid[1], "validation")
    crossed = [np.empty((len(labels), categories), np.float32) for _ in path]
    for number in np.unique(fold[seen]):
        out = fold == number
        partial = _path(features[~out], labels[~out], categories, config, weights)
        for answers, (kernel, bias) in zip(crossed, partial, strict=True):
            answers[out] = features[out] @ kernel + bias
    return Judges([a[seen] for a in crossed], labels[seen], "training, cross-fitted")


def folds(keys: Sequence[str], labels: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Deal the keys of each category out to folds, in the order of their hashes.

    Args:
        keys: pictures of one key go to one fold.
        labels: int [n]; a key counts for the first category it is seen with.
        count: of folds.

    Returns:
        int [n], the fold of each picture; -1 where all of a category would be held out at once, so
        that no head could name it.
    """
    members: dict[int, list[str]] = {}
    for key, label in zip(keys, labels.tolist(), strict=True):
        members.setdefault(label, []).append(key)
    dealt: dict[str, int] = {}
    for own in members.values():
        used = Counter(dealt[key] for key in set(own) & dealt.keys())
        for key in sorted(set(own) - dealt.keys(), key=position):
            dealt[key] = min(range(count), key=lambda fold: (used[fold], fold))
            used[dealt[key]] += 1
    for own in members.values():
        if len({dealt[key] for key in own}) == 1:
            dealt |= dict.fromkeys(own, -1)
    return np.array([dealt[key] for key in keys], np.int64)


class _Problem:
    """The regression on standardised features, without ever standardising a copy of them."""

    def __init__(
        self,
        features: Array,
        labels: NDArray[np.integer],
        categories: int,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self.features, self.labels, self.categories = features, labels, categories
        each = np.ones(len(labels)) if weights is None else weights[labels]
        self.weights = each / each.sum()
        self.mean = features.mean(axis=0, dtype=np.float64)
        deviation = _deviation(features, self.mean)
        self.scale = 1.0 / np.maximum(deviation, 1e-6 + 1e-3 * deviation.mean())
        self.size = (features.shape[1] + 1) * categories

    def unscaled(self, solution: NDArray[np.float64]) -> tuple[Array, Array]:
        """Return kernel [d, k] and bias [k] for raw features."""
        kernel, bias = self._parts(solution)
        kernel = kernel * self.scale[:, None]
        return kernel.astype(np.float32), (bias - self.mean @ kernel).astype(np.float32)

    def loss_and_gradient(
        self, solution: NDArray[np.float64], penalty: float
    ) -> tuple[float, NDArray[np.float64]]:
        """Return weighted mean cross-entropy + penalty / 2 * |kernel|^2, and its gradient."""
        kernel, _ = self._parts(solution)
        raw_kernel, raw_bias = self.unscaled(solution)
        logits = (self.features @ raw_kernel + raw_bias).astype(np.float64)
        log_probabilities = log_softmax(logits, axis=1)
        rows = np.arange(len(self.labels))
        loss = penalty / 2 * np.sum(kernel**2) - (
            self.weights @ log_probabilities[rows, self.labels]
        )
        residual = np.exp(log_probabilities)
        residual[rows, self.labels] -= 1.0
        residual *= self.weights[:, None]
        total = residual.sum(axis=0)
        raw = self.features.T @ residual.astype(np.float32) - np.outer(self.mean, total)
        gradient = raw * self.scale[:, None] + penalty * kernel
        return float(loss), np.concatenate([gradient.ravel(), total])

    def _parts(
        self, solution: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        kernel = solution[: -self.categories].reshape(-1, self.categories)
        return kernel, solution[-self.categories :]


def _deviation(features: Array, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what `features.std(axis=0)` does, in float64, without a copy of all features."""
    squares = np.zeros_like(mean)
    for start in range(0, len(features), ROWS_AT_ONCE):
        squares += ((features[start : start + ROWS_AT_ONCE] - mean) ** 2).sum(axis=0)
    return np.asarray(np.sqrt(squares / len(features)))


def _cells(head: Head) -> list[str]:
    return [
        f"{head.penalty:g}",
        f"{head.train_loss:.4f}",
        f"{head.judged_loss:.4f}",
        f"{head.valid_loss:.4f}",
        f"{head.error_rate:.4f}",
        f"{head.seconds:.1f} s",
    ]
