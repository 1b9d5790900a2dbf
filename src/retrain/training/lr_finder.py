"""The learning rate finder: train briefly at ever higher rates and watch the loss (Smith 2017).

https://arxiv.org/abs/1506.01186; the stopping rule and the suggestions are fastai's.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.progress import Reporter
from retrain.training.learner import Learner
from retrain.training.schedules import MOMENTA

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100
DIVERGED = 4.0  # times the lowest smoothed loss; above that the sweep ends
SMOOTHING = 0.9  # share of the running mean that each step keeps
LEAST_POINTS = 10  # fewer give no suggestion


@dataclass(frozen=True)
class Sweep:
    """The learning rates that were tried, rising, and the smoothed loss at each."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    def suggestions(self) -> dict[str, float]:
        """Return learning rates to train with by the name of their rule, the best one first.

        "valley" is the middle of the longest stretch in which the loss falls, "steep" is where it
        falls fastest, and "minimum/10" is a tenth of the rate with the lowest loss. There are none
        if the loss diverged at once or never fell.
        """
        start = len(self.losses) // 10  # the first running means are of few batches
        rates, losses = self.rates[start:], self.losses[start:]
        lowest = int(np.argmin(losses)) if losses else 0
        if len(losses) < LEAST_POINTS or lowest == 0:
            return {}
        slopes = np.gradient(np.array(losses), np.log(rates))
        return {
            "valley": rates[_valley(losses)],
            "steep": rates[int(np.argmin(slopes[: lowest + 1]))],
            "minimum/10": rates[lowest] / 10,
        }


def rising_rate(step: int, steps: int = STEPS) -> float:
    """Return the rate of a sweep at a step, from LOWEST to HIGHEST by the same factor each time."""
    return LOWEST * float((HIGHEST / LOWEST) ** (step / (steps - 1)))


def sweep(
    learner: Learner,
    batches: Iterator[tuple[NDArray[np.generic], NDArray[np.float32]]],
    report: Reporter,
    steps: int = STEPS,
) -> Sweep:
    """Train at rising rates until the loss diverges; leave model and optimiser as they were.

    Args:
        learner: what trains.
        batches: at least `steps` batches.
        report: shows the progress.
        steps: the highest number of steps.
    """
    rates: list[float] = []
    losses: list[float] = []
    running = 0.0
    with learner.unchanged(), report.bar("learning rates", steps) as advance:
        for number, (inputs, targets) in zip(range(steps), batches, strict=False):
            rate = rising_rate(number, steps)
            learner.set_pace(rate / learner.peak, MOMENTA[0])
            loss = float(learner.step(inputs, targets))
            running = SMOOTHING * running + (1 - SMOOTHING) * loss
            smooth = running / (1 - SMOOTHING ** (len(losses) + 1))
            if not math.isfinite(smooth) or smooth > DIVERGED * min(losses, default=smooth):
                break
            rates.append(rate)
            losses.append(smooth)
            advance(1)
    return Sweep(tuple(rates), tuple(losses))


def _valley(losses: tuple[float, ...]) -> int:
    """Return the middle of the longest falling subsequence, found by dynamic programming."""
    lengths, previous = [1] * len(losses), list(range(len(losses)))
    for i, loss in enumerate(losses):
        for j in range(i):
            if losses[j] > loss and lengths[j] + 1 > lengths[i]:
                lengths[i], previous[i] = lengths[j] + 1, j
    end = int(np.argmax(lengths))
    start = end
    while previous[start] != start:
        start = previous[start]
    return (start + end) // 2
