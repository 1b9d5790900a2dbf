"""The head on bottleneck features: multinomial logistic regression, solved to its optimum.

The problem is convex, so L-BFGS finds the one solution in a second or two; there is no learning
rate and no number of epochs, only the strength of the L2 penalty, which validation loss chooses.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from retrain.config import HeadConfig
from retrain.metrics import error_rate, log_loss
from retrain.progress import Reporter

Array = NDArray[np.float32]

ROWS_AT_ONCE = 4096  # of features in float64
COLUMNS = ("penalty", "train loss", "valid loss", "error rate", "time")


@dataclass(frozen=True)
class Head:
    """A linear head. kernel: float32 [d, k]. bias: float32 [k]. penalty: the chosen one."""

    kernel: Array
    bias: Array
    penalty: float
    train_loss: float
    valid_loss: float
    error_rate: float
    seconds: float

    def probabilities(self, features: Array) -> Array:
        """Return float32 [n, k] for features [n, d]."""
        return np.asarray(softmax(features @ self.kernel + self.bias, axis=1), np.float32)


def fit_head(
    train: tuple[Array, NDArray[np.integer]],
    valid: tuple[Array, NDArray[np.integer]],
    categories: int,
    config: HeadConfig,
    report: Reporter,
) -> list[Head]:
    """Fit one head per penalty, each starting from the one before.

    Args:
        train: features [n, d] and labels [n]; neither is copied.
        valid: the same for validation; may be empty.
        categories: k.
        config: the penalties.
        report: shows a row a penalty.
    """
    problem = _Problem(*train, categories)
    row_out = report.table(COLUMNS)
    heads: list[Head] = []
    solution = np.zeros(problem.size)
    for penalty in config.strengths:
        start = time.monotonic()
        solution = minimize(
            problem.loss_and_gradient,
            solution,
            args=(penalty,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": config.iterations},
        ).x
        kernel, bias = problem.unscaled(solution)
        unscored = Head(kernel, bias, penalty, np.nan, np.nan, np.nan, 0.0)
        on_valid = unscored.probabilities(valid[0])
        heads.append(
            Head(
                kernel,
                bias,
                penalty,
                train_loss=log_loss(unscored.probabilities(train[0]), train[1]),
                valid_loss=log_loss(on_valid, valid[1]),
                error_rate=error_rate(on_valid, valid[1]),
                seconds=time.monotonic() - start,
            )
        )
        row_out(_cells(heads[-1]))
    return heads


def best_head(heads: list[Head]) -> Head:
    """Return the head with the lowest validation loss; the middle one if there was no such data."""
    if any(math.isnan(head.valid_loss) for head in heads):
        return heads[len(heads) // 2]
    return min(heads, key=lambda head: head.valid_loss)


class _Problem:
    """The regression on standardised features, without ever standardising a copy of them."""

    def __init__(self, features: Array, labels: NDArray[np.integer], categories: int) -> None:
        self.features, self.labels, self.categories = features, labels, categories
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
        """Return mean cross-entropy + penalty / 2 * |kernel|^2, and its gradient."""
        kernel, _ = self._parts(solution)
        raw_kernel, raw_bias = self.unscaled(solution)
        logits = (self.features @ raw_kernel + raw_bias).astype(np.float64)
        log_probabilities = log_softmax(logits, axis=1)
        count, rows = len(self.labels), np.arange(len(self.labels))
        loss = -log_probabilities[rows, self.labels].mean() + penalty / 2 * np.sum(kernel**2)
        residual = np.exp(log_probabilities)
        residual[rows, self.labels] -= 1.0
        residual /= count
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
        f"{head.valid_loss:.4f}",
        f"{head.error_rate:.4f}",
        f"{head.seconds:.1f} s",
    ]
