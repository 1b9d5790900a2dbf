"""The epoch loop: train, validate, show a row, keep the best, stop in time, go on after a stop."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.metrics import error_rate, macro_f1, softmax
from retrain.progress import Advance, Reporter
from retrain.training.calibration import calibrated_loss
from retrain.training.checkpoints import Checkpoints, Plan, Progress
from retrain.training.history import EpochRow
from retrain.training.optim import Step
from retrain.training.pipeline import Sampler

COLUMNS = ("epoch", "train loss", "valid loss", "error rate", "macro-F1", "learning rate", "time")


@dataclass(frozen=True)
class Learner:
    """What learns.

    model: the model, from uint8 pixels to logits.
    optimizer: the optimiser of the model's trainable variables.
    step: one training step of this optimiser on this model; it returns the loss.
    """

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    step: Step


@dataclass(frozen=True)
class Validation:
    """What an epoch is judged by.

    predict: returns the current logits, float32 [n, k], on validation pictures.
    labels: int [n], the true categories of these pictures.
    score: turns an epoch's row into the number that chooses the best epoch; less is better.
    """

    predict: Callable[[], NDArray[np.float32]]
    labels: NDArray[np.integer]
    score: Callable[[EpochRow], float]


@dataclass(frozen=True)
class Course:
    """How long a fit may go on.

    plan: its epochs and learning rates.
    patience: the number of epochs without a better score after which it stops.
    deadline: a time on `time.monotonic()` that no further epoch may overrun; `math.inf` for none.
    """

    plan: Plan
    patience: int
    deadline: float = math.inf


@dataclass(frozen=True)
class Fitted:
    """The outcome of a fit.

    best: the row of the best epoch; None if no epoch came to its end.
    plan: the plan that it followed.
    history: one row for each epoch.
    stopped: why it ended before its plan did; None if it did not.
    """

    best: EpochRow | None
    plan: Plan
    history: tuple[EpochRow, ...]
    stopped: str | None


class Log(Protocol):
    """Hears how a fit goes, for TensorBoard; `training/logs.py` has the real one."""

    def batch(self, step: int, loss: float, learning_rate: float, pixels: Pixels) -> None:
        """Hear of a training step."""

    def epoch(self, row: EpochRow, scores: NDArray[np.float32] | None = None) -> None:
        """Hear of an epoch and its probabilities [n, k] on validation data."""


def fit(
    learner: Learner,
    sampler: Sampler,
    validation: Validation,
    course: Course,
    checkpoints: Checkpoints,
    report: Reporter,
    *,
    log: Log,
) -> Fitted:
    """Train a model and leave it with the weights of its best epoch.

    Where `checkpoints` hold the state of an interrupted fit, it goes on from there.

    Args:
        learner: the model and its step.
        sampler: gives the training batches.
        validation: judges each epoch.
        course: how long the fit may go on.
        checkpoints: where the state is kept.
        report: shows bars and rows.
        log: hears of each step and epoch.
    """
    model, optimizer = learner.model, learner.optimizer
    progress = checkpoints.load(model, optimizer)
    if progress is None:
        progress = Progress(course.plan, (), 0, math.inf)
        checkpoints.save(progress, model, optimizer)
    row_out = report.table(COLUMNS)
    for row in progress.history:
        row_out(_cells(row))
    while progress.epoch < course.plan.epochs and not progress.stopped:
        if reason := _reason_to_stop(progress, course):
            progress = replace(progress, stopped=reason)
            break
        epoch, begun = progress.epoch + 1, time.monotonic()
        title = f"epoch {epoch}/{course.plan.epochs}"
        with report.bar(title, sampler.steps) as advance:
            trained = _train_epoch(learner, sampler, epoch, log, advance)
        logits = validation.predict() if trained else None
        # Only validation shows whether the last step spoilt the model.
        if trained is None or logits is None or not np.isfinite(logits).all():
            reason = f"the loss was no longer a number in epoch {epoch}; try lower learning rates"
            progress = replace(progress, stopped=reason)
            break
        row = _row(epoch, trained, logits, validation.labels, time.monotonic() - begun)
        row_out(_cells(row))
        log.epoch(row, softmax(logits))
        progress = _with_row(progress, row, validation.score(row))
        checkpoints.save(progress, model, optimizer)
    if progress.stopped:  # a training that goes on must not go further
        checkpoints.save(progress, model, optimizer)
    best = None
    if progress.best_epoch:
        checkpoints.load_best(model)
        best = progress.history[progress.best_epoch - 1]
    return Fitted(best, course.plan, progress.history, progress.stopped)


def _train_epoch(
    learner: Learner, sampler: Sampler, epoch: int, log: Log, advance: Advance
) -> tuple[float, float] | None:
    """Take all steps of an epoch.

    Returns:
        The mean loss a picture and the highest learning rate; None if a loss was no number.
    """
    losses, rates, counts = [], [], []
    for pixels, targets in sampler.batches(epoch):
        rates.append(float(learner.optimizer.learning_rate))
        losses.append(float(learner.step(pixels, targets)))
        counts.append(len(targets))
        if not math.isfinite(losses[-1]):
            return None
        step = (epoch - 1) * sampler.steps + len(losses)
        log.batch(step, losses[-1], rates[-1], pixels)
        advance(1)
    return float(np.average(losses, weights=counts)), max(rates)


def _row(
    epoch: int,
    trained: tuple[float, float],
    logits: NDArray[np.float32],
    labels: NDArray[np.integer],
    seconds: float,
) -> EpochRow:
    scores = softmax(logits)
    return EpochRow(
        stage="fine_tune",
        epoch=epoch,
        penalty=None,
        train_loss=trained[0],
        valid_loss=calibrated_loss(logits, labels),
        error_rate=error_rate(scores, labels),
        macro_f1=macro_f1(scores, labels),
        learning_rate=trained[1],
        seconds=seconds,
    )


def _with_row(progress: Progress, row: EpochRow, score: float) -> Progress:
    progress = replace(progress, history=(*progress.history, row))
    if score < progress.best_score:
        progress = replace(progress, best_epoch=row.epoch, best_score=score)
    return progress


def _reason_to_stop(progress: Progress, course: Course) -> str | None:
    """Return why no further epoch should begin, if so."""
    if progress.epoch - progress.best_epoch >= course.patience:
        return f"no better validation score since epoch {progress.best_epoch}"
    usual = min((row.seconds for row in progress.history), default=-math.inf)  # one compiles
    if time.monotonic() + usual > course.deadline:
        return f"the time budget ends after epoch {progress.epoch} of {course.plan.epochs}"
    return None


def _cells(row: EpochRow) -> list[str]:
    return [
        str(row.epoch),
        f"{row.train_loss:.4f}",
        f"{row.valid_loss:.4f}",
        f"{row.error_rate:.4f}",
        f"{row.macro_f1:.4f}",
        "" if row.learning_rate is None else f"{row.learning_rate:.1e}",
        f"{row.seconds:.1f} s",
    ]
