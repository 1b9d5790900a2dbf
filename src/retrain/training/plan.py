"""The plan of a fine-tuning: what is trained, for how many steps, and how the clock shortens it.

Pure: numbers in, numbers out. The clock is read by `fit.py`, the times are taken by `ladder.py`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

ROUNDS = 8  # of a cycle; after each its losses are shown and its state is kept
SMALL, SMALL_BATCH, BATCH = 300, 16, 32  # below so many pictures a batch is small
LEAST_STEPS = 300  # of a cycle that has the time: a few dozen move nothing
PASSES = 24  # through the pictures
SPARE = 0.9  # of the time left that is planned for; the rest is for what nobody foresees


@dataclass(frozen=True)
class Pace:
    """How long the steps of a cycle take.

    fresh: seconds of a step whose views must be made.
    stored: seconds of a step whose views were made before.
    fresh_steps: how many steps, from the first on, make their views; `math.inf` for all.
    round: seconds that the end of a round takes.
    """

    fresh: float
    stored: float = 0.0
    fresh_steps: float = math.inf
    round: float = 0.0

    def seconds(self, first: int, last: int) -> float:
        """Return how long the steps from `first` to before `last` take, without rounds."""
        fresh = max(0.0, min(last, self.fresh_steps) - first)
        return fresh * self.fresh + (last - first - fresh) * self.stored

    def steps_in(self, seconds: float, first: int = 0) -> int:
        """Return how many steps, from `first` on, take at most so long."""
        fresh = max(0.0, self.fresh_steps - first)
        if seconds < fresh * self.fresh:
            return int(seconds / self.fresh)
        return int(fresh + (seconds - fresh * self.fresh) / self.stored)


@dataclass(frozen=True)
class Plan:
    """What was settled before the first step; a training that goes on keeps to it.

    groups: the number of layer groups that train, counted from the end.
    views: the number of views of each picture whose activations below these groups are stored; 0
        where no layer is frozen.
    batch: the number of pictures in a step.
    learning_rates: the peaks of the first layer group and of the head.
    totals: from which step (from 0) on the cycle has how many steps; the first pair is the plan,
        each further one a time when the clock changed that.
    pace: how long its steps were expected to take; None where nothing was timed.
    seconds: how long the cycle was expected to take; None where nothing was timed.
    """

    groups: int
    views: int
    batch: int
    learning_rates: tuple[float, float]
    totals: tuple[tuple[int, int], ...]
    pace: Pace | None = None
    seconds: float | None = None

    @property
    def steps(self) -> int:
        """The number of steps of the cycle, as it stands."""
        return self.totals[-1][1]

    def total_at(self, step: int) -> int:
        """Return how many steps the cycle had when this step was taken."""
        return next(total for start, total in reversed(self.totals) if start <= step)

    def resized(self, step: int, steps: int) -> "Plan":
        """Return the plan whose cycle has another number of steps, from a step on."""
        return replace(self, totals=(*self.totals, (step, steps)))

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, from which `read` makes a plan."""
        return asdict(self)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Plan":
        """Return the plan that `as_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: it did not write this.
        """
        low, high = values["learning_rates"]
        totals = tuple((int(start), int(total)) for start, total in values["totals"])
        if not totals:
            raise ValueError("a plan has steps")
        pace = Pace(**values["pace"]) if values["pace"] else None
        return cls(**{**values, "learning_rates": (low, high), "totals": totals, "pace": pace})


def again(plan: Plan, learned_from: int, pictures: int, new: int) -> Plan:
    """Return the plan by which other pictures are learned as some were.

    Args:
        plan: that was followed to its end.
        learned_from: how many pictures that was for.
        pictures: how many are to be learned.
        new: how many of these have no views that are kept.
    """
    steps = math.ceil(plan.steps * pictures / learned_from)
    pace = plan.pace
    if pace:
        fresh = math.ceil(plan.views * new / plan.batch) if plan.views else math.inf
        pace = replace(pace, fresh_steps=fresh, round=0.0)
    seconds = pace.seconds(0, steps) if pace else None
    return replace(plan, totals=((0, steps),), pace=pace, seconds=seconds)


def batch_size(pictures: int, wanted: int | None) -> int:
    """Return how many pictures a step learns from; never more than there are."""
    usual = SMALL_BATCH if pictures < SMALL else BATCH
    return min(wanted or usual, pictures)


def wanted_steps(pictures: int, batch: int, passes: int, *, at_least: int = LEAST_STEPS) -> int:
    """Return how many steps a cycle of so many passes has, were there time for all."""
    return max(at_least, math.ceil(pictures * passes / batch))


def affordable_steps(pace: Pace, wanted: int, seconds: float) -> int:
    """Return how many of the wanted steps fit into a time, rounds included; may be 0."""
    if math.isinf(seconds):
        return wanted
    return max(0, min(wanted, pace.steps_in(SPARE * seconds - ROUNDS * pace.round)))


def in_time(pace: Pace, step: int, total: int, slowdown: float, seconds: float) -> int:
    """Return the number of steps with which a cycle ends in time.

    Args:
        pace: as it was expected.
        step: how many steps were taken.
        total: the number of steps of the cycle as it stands.
        slowdown: how many times longer than expected steps took lately.
        seconds: the time left.

    Returns:
        `total` where that ends in time; otherwise fewer, but one more step at least, with which the
        cycle ends.
    """
    rounds = math.ceil(ROUNDS * (total - step) / total) * pace.round
    left = seconds / slowdown - rounds
    if pace.seconds(step, total) <= left:
        return total
    return min(total, step + max(1, pace.steps_in(left, step)))


def names_of(groups: Sequence[object], count: int) -> str:
    """Say which layer groups train.

    >>> names_of(range(5), 5), names_of(range(5), 2)
    ('all layers', 'the last 2 of 5 layer groups')
    """
    every = len(groups)
    if count >= every:
        return "all layers"
    return f"the last {count} of {every} layer groups" if count > 1 else "the last layer group"
