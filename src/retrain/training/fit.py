"""The loop of fine-tuning: one cycle of steps, which ends in time; goes on after a stop."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retrain.metrics import error_rate, macro_f1, softmax
from retrain.model.devices import gpus
from retrain.progress import Advance, Reporter, counted
from retrain.training.calibration import calibrated_loss
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.history import EpochRow
from retrain.training.learner import Learner
from retrain.training.pipeline import Batches, Sampler
from retrain.training.plan import ROUNDS, Plan, in_time
from retrain.training.schedules import momentum, rate_share

COLUMNS = ("round", "steps", "train loss", "valid loss", "error rate", "macro-F1", "rate", "time")
READINGS = 50  # of the clock, in a cycle
RECENT = 5  # readings that tell how fast the machine is now
MUCH, WORTH_SAYING = 0.2, 60.0  # share of a training's time spent waiting, seconds it took
RECOVERED = 1.05  # times as many steps as the cycle has, for which it is worth being changed again


@dataclass(frozen=True)
class Validation:
    """What a round is shown by; nothing is chosen by it.

    predict: returns the current logits, float32 [n, k], on pictures that are not learned from.
    labels: int [n], the true categories of these pictures.
    """

    predict: Callable[[], NDArray[np.float32]]
    labels: NDArray[np.integer]


@dataclass(frozen=True)
class Course:
    """How a fit is to go.

    plan: its steps and learning rates; an interrupted fit keeps to its own.
    deadline: when the cycle must end, by `now`; `math.inf` for no limit.
    stage: what its rows are called.
    now: a clock, in seconds.
    """

    plan: Plan
    deadline: float = math.inf
    stage: str = "fine_tune"
    now: Callable[[], float] = time.monotonic


class Log(Protocol):
    """Hears how a fit goes, for TensorBoard; `training/logs.py` has the real one."""

    def batch(
        self, stage: str, step: int, loss: float, learning_rate: float, inputs: NDArray[Any]
    ) -> None:
        """Hear of a training step of a stage."""

    def epoch(
        self,
        row: EpochRow,
        scores: NDArray[np.float32] | None = None,
        labels: NDArray[np.integer] | None = None,
    ) -> None:
        """Hear of a round, its probabilities [n, k] on validation data, and the truth, int [n]."""


def fit(
    learner: Learner,
    sampler: Sampler,
    validation: Validation | None,
    course: Course,
    checkpoints: Checkpoints,
    report: Reporter,
    *,
    log: Log,
) -> Progress:
    """Train a model for one cycle, and leave it with the weights of its last step.

    Where `checkpoints` hold the state of an interrupted fit, it goes on from there.

    Args:
        learner: the model and its step.
        sampler: gives the training batches.
        validation: judges each round, for people to see; None where no picture is left for that.
        course: how long the cycle is, and when it must end.
        checkpoints: where the state is kept.
        report: shows bars and rows.
        log: hears of each step and round.

    Returns:
        Where it ended; its model counts only if the cycle was finished.
    """
    progress = checkpoints.load(learner)
    if progress is None:
        progress = Progress(course.plan)
        checkpoints.save(progress, learner)
    row_out = report.table(COLUMNS)
    for row in progress.history:
        row_out(_cells(row))
    clock = _Clock(course)
    batches, begun_at = _Fed(sampler.batches(progress.step)), course.now()
    try:
        while progress.step < progress.plan.steps and not progress.stopped:
            begun, end = course.now(), _round_end(progress.step, progress.plan.steps)
            title = f"step {end} of {progress.plan.steps}"
            with report.bar(title, end - progress.step) as advance:
                tell = partial(log.batch, course.stage)
                progress, trained = _train_round(
                    learner, batches, progress, clock, tell=tell, advance=advance
                )
            logits = validation.predict() if trained and validation else None
            # Only other pictures show whether the last step spoilt the model.
            if trained is None or (logits is not None and not np.isfinite(logits).all()):
                reason = f"the loss was no longer a number in step {progress.step}"
                progress = replace(progress, stopped=f"{reason}; try lower learning rates")
                break
            seconds = course.now() - begun
            row = _row(course.stage, progress, trained, seconds)
            if validation and logits is not None:
                row = _judged(row, logits, validation.labels)
            row_out(_cells(row))
            if validation and logits is not None:
                log.epoch(row, softmax(logits), validation.labels)
            else:
                log.epoch(row)
            progress = replace(
                progress,
                history=(*progress.history, row),
                seconds=progress.seconds + seconds,
            )
            checkpoints.save(progress, learner)
    finally:
        batches.close()
    _report_waits(batches.waited, course.now() - begun_at, report)
    planned, steps = progress.plan.totals[0][1], progress.plan.steps
    if steps < planned:
        report.say(
            f"The cycle was shortened to {counted(steps, 'step')} of {planned}, to end in time: "
            "the machine was slower than when it was timed."
        )
    if progress.stopped:  # a training that goes on must not go further
        checkpoints.save(progress, learner)
    return progress


class _Fed:
    """Batches, and how many seconds were spent waiting for them."""

    def __init__(self, batches: Batches) -> None:
        self._batches, self.waited = batches, 0.0
        self.close = batches.close

    def __next__(self) -> tuple[NDArray[Any], NDArray[np.float32]]:
        begun = time.monotonic()
        batch = next(self._batches)
        self.waited += time.monotonic() - begun
        return batch


def _report_waits(waited: float, seconds: float, report: Reporter) -> None:
    """Say where a training waited for its pictures, if that was long and its own fault.

    Above frozen layers the waiting is for these, which run while a batch is made.
    """
    if gpus() and seconds > WORTH_SAYING and waited > MUCH * seconds:
        report.say(
            f"{waited / seconds:.0%} of the time went into waiting for pictures: the cores could "
            "not decode them as fast as the GPU learned. Smaller files help, and so do more cores."
        )


class _Clock:
    """Tells whether the cycle still ends in time; knows how fast the machine was lately."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._readings: deque[tuple[int, float]] = deque(maxlen=RECENT + 1)

    def begin(self, step: int) -> None:
        """Start to watch: what came before, such as the end of a round, was no step."""
        self._readings.clear()
        self._readings.append((step, self._course.now()))

    def steps(self, step: int, plan: Plan) -> int:
        """Return the number of steps with which the cycle ends in time.

        In its first half a cycle that was shortened may become longer again, up to what was
        planned, where the machine has recovered; later that would raise the rate once more.
        """
        total, pace, now = plan.steps, plan.pace, self._course.now()
        if pace is None or math.isinf(self._course.deadline):
            return total
        if step % max(1, total // READINGS):
            return total
        self._readings.append((step, now))
        first, then = self._readings[0]
        expected = pace.seconds(first, step)
        slowdown = (now - then) / expected if expected > 0 else 1.0
        most = plan.totals[0][1] if step < total / 2 else total
        steps = in_time(pace, step, most, max(slowdown, 1e-3), self._course.deadline - now)
        return steps if steps <= total or steps > RECOVERED * total else total


def _round_end(step: int, steps: int) -> int:
    """Return the number of steps after which the round that begins at `step` is over.

    >>> _round_end(0, 100), _round_end(13, 100), _round_end(99, 100)
    (13, 25, 100)
    """
    return math.ceil((step * ROUNDS // steps + 1) * steps / ROUNDS)


def _train_round(
    learner: Learner,
    batches: _Fed,
    progress: Progress,
    clock: _Clock,
    *,
    tell: Callable[[int, float, float, NDArray[Any]], None],
    advance: Advance,
) -> tuple[Progress, tuple[float, float] | None]:
    """Take the steps of a round.

    Returns:
        How far it came; the mean loss and the highest learning rate, or None if a loss was no
        number.
    """
    losses, rates, plan, step = [], [], progress.plan, progress.step
    clock.begin(step)
    while step < _round_end(progress.step, plan.steps):
        inputs, targets = next(batches)
        share = rate_share(step, plan.steps)
        learner.set_pace(share, momentum(step, plan.steps))
        losses.append(float(learner.step(inputs, targets)))
        rates.append(share * learner.peak)
        step += 1
        if not math.isfinite(losses[-1]):
            return replace(progress, plan=plan, step=step), None
        tell(step, losses[-1], rates[-1], inputs)
        advance(1)
        steps = clock.steps(step, plan)
        if steps != plan.steps:
            plan = plan.resized(step, steps)
    return replace(progress, plan=plan, step=step), (float(np.mean(losses)), max(rates))


def _row(stage: str, progress: Progress, trained: tuple[float, float], seconds: float) -> EpochRow:
    return EpochRow(
        stage=stage,
        epoch=len(progress.history) + 1,
        step=progress.step,
        penalty=None,
        train_loss=trained[0],
        valid_loss=None,
        error_rate=None,
        macro_f1=None,
        learning_rate=trained[1],
        seconds=seconds,
    )


def _judged(row: EpochRow, logits: NDArray[np.float32], labels: NDArray[np.integer]) -> EpochRow:
    scores = softmax(logits)
    return replace(
        row,
        valid_loss=calibrated_loss(logits, labels),
        error_rate=error_rate(scores, labels),
        macro_f1=macro_f1(scores, labels),
    )


def _cells(row: EpochRow) -> list[str]:
    judged = (row.valid_loss, row.error_rate, row.macro_f1)
    return [
        str(row.epoch),
        str(row.step),
        f"{row.train_loss:.4f}",
        *("-" if value is None else f"{value:.4f}" for value in judged),
        "" if row.learning_rate is None else f"{row.learning_rate:.1e}",
        f"{row.seconds:.1f} s",
    ]
