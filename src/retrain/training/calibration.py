"""Temperature scaling: scores that mean what they say (Guo et al. 2017)."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_softmax, softmax

BOUNDS = (-4.0, 4.0)  # of the temperature's logarithm


@dataclass(frozen=True)
class Prior:
    """Where temperatures of a recipe's models lie: the mean and the spread of their logarithm."""

    mean: float
    spread: float


# Fine-tuned with targets smoothed by 0.1, models had 0.43 to 0.67 on five sets (docs/recipes.md).
TUNED = Prior(math.log(0.55), 0.25)
# Heads of the same pictures had 0.20 to 0.71.
HEADS = Prior(math.log(0.5), 0.4)


@dataclass(frozen=True)
class Calibration:
    """A model's temperature, and where the pictures came from that it was fitted on."""

    temperature: float
    source: str
    pictures: int


def fit_temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the number to divide logits by, so that their softmax is most likely.

    n pictures without a mistake do not show that there is none: as in Platt's scaling (1999), one
    answer of n + 2 counts as any other category (Laplace's rule of succession), so that a handful
    of easy pictures does not make a model certain.

    Args:
        logits: float [n, k], of pictures that the model has not learned from.
        labels: int [n].

    Returns:
        1.0 where there are none.
    """
    if len(labels) == 0:
        return 1.0
    exact, doubt = logits.astype(np.float64), 1 / (len(labels) + 2)
    targets = np.full(exact.shape, doubt / (exact.shape[1] - 1))
    targets[np.arange(len(labels)), labels] = 1 - doubt
    wanted = float((targets * exact).sum())

    def surplus(log_temperature: float) -> float:
        """Return the slope of the cost over 1 / temperature, which only falls with the latter."""
        scores = softmax(exact / math.exp(log_temperature), axis=1)
        return float((scores * exact).sum()) - wanted

    if surplus(BOUNDS[0]) <= 0 or surplus(BOUNDS[1]) >= 0:  # no root: the best is at an end
        return math.exp(BOUNDS[0] if surplus(BOUNDS[0]) <= 0 else BOUNDS[1])
    return math.exp(brentq(surplus, *BOUNDS, xtol=1e-6))


def likely_temperature(
    logits: NDArray[np.floating], labels: NDArray[np.integer], prior: Prior
) -> float:
    """Return the most likely temperature, where it is known what others had.

    A handful of pictures without a mistake says little of how certain a model may be; models that
    were trained in the same way say more, and so there is no need for doubt as in
    `fit_temperature`. Many pictures, or some with mistakes, outweigh the prior.

    Args:
        logits: float [n, k], of pictures that the model has not learned from.
        labels: int [n].
        prior: of such models, normal in the logarithm.
    """

    def cost(log_temperature: float) -> float:
        unlikely = (log_temperature - prior.mean) ** 2 / (2 * prior.spread**2)
        return float(losses(logits, labels, math.exp(log_temperature)).sum()) + unlikely

    return math.exp(minimize_scalar(cost, bounds=BOUNDS, method="bounded").x)


def losses(
    logits: NDArray[np.floating], labels: NDArray[np.integer], temperature: float
) -> NDArray[np.float64]:
    """Return the log loss of each picture, float [n], for logits [n, k] at a temperature."""
    scores = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return np.asarray(-scores[np.arange(len(labels)), labels])


def probability_losses(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Return the log loss of each picture, float [n], for probabilities [n, k]."""
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return np.asarray(-np.log(np.clip(true, 1e-7, 1.0)))


def calibrated_loss(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Return the log loss at the temperature that suits these pictures; NaN where there are none.

    Epochs are compared by it: a model that was trained on smoothed labels is modest by a
    temperature that calibration takes away.
    """
    if len(labels) == 0:
        return math.nan
    return float(losses(logits, labels, fit_temperature(logits, labels)).mean())
