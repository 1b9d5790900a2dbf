"""How learning rate and momentum move over a training, as pure functions of the step.

One cycle (Smith & Topin 2018, https://arxiv.org/abs/1708.07120) in fastai's shape: the rate rises
along a cosine from a 25th of its peak to the peak in the first quarter, then falls along a cosine
to nearly nothing; momentum does the opposite, from .95 to .85 and back.
"""

import math

RISE = 0.25  # share of the steps in which the rate rises
START, END = 1 / 25, 1e-5  # first and last rate, as shares of the peak
MOMENTA = (0.95, 0.85)  # at the lowest and at the highest rate


def rate_share(step: int, steps: int) -> float:
    """Return the learning rate at a step as a share of its peak, 0..1.

    Args:
        step: the number of the step, 0 for the first and `steps - 1` for the last.
        steps: the number of steps of the whole training.

    >>> [round(rate_share(step, 4), 2) for step in range(4)]
    [0.52, 0.93, 0.5, 0.07]
    """
    return _cycle(step, steps, START, 1.0, END)


def momentum(step: int, steps: int) -> float:
    """Return Adam's first beta at a step; steps count as for `rate_share`."""
    high, low = MOMENTA
    return _cycle(step, steps, high, low, high)


def group_rates(lowest: float, highest: float, groups: int) -> list[float]:
    """Return a peak rate for each layer group, the stem's first, as a geometric series.

    >>> group_rates(1e-5, 1e-3, 3)
    [1e-05, 0.0001, 0.001]
    """
    if groups == 1:
        return [highest]
    ratio = highest / lowest
    return [lowest * ratio ** (i / (groups - 1)) for i in range(groups)]


def _cycle(step: int, steps: int, start: float, middle: float, end: float) -> float:
    progress = (step + 0.5) / steps  # the middle of the step: even a single one trains
    if progress < RISE:
        return _cosine(start, middle, progress / RISE)
    return _cosine(middle, end, (progress - RISE) / (1 - RISE))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, share))) / 2
