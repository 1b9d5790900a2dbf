"""The epoch loop: train, validate, show a row, keep the best, stop in time, go on after a stop."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.metrics import error_rate, macro_f1, softmax
from retrain.progress import Reporter
from retrain.train.calibration import calibrated_loss
from retrain.train.checkpoints import Checkpoints, EpochRow, Plan, Progress
from retrain.train.optim import Step

COLUMNS = ("epoch", "train loss", "valid loss", "error rate", "macro-F1", "learning rate", "time")

Batches = Iterator[tuple[Pixels, NDArray[np.float32]]]


@dataclass(frozen=True)
class Course:
    """How long a fit may go on.

    plan: its epochs. patience: epochs without a better score before stopping. deadline:
    `time.monotonic()` that no further epoch may overrun, `math.inf` for none.
    """

    plan: Plan
    patience: int
    deadline: float = math.inf


@dataclass(frozen=True)
class Fitted:
    """The outcome of a fit. best: its epoch, None if none came to its end."""

    best: EpochRow | None
    plan: Plan
    history: tuple[EpochRow, ...]
    stopped: str | None


class Log(Protocol):
    """Hears how a fit goes, for TensorBoard; `train/logs.py` has the real one."""

    def batch(self, step: int, loss: float, learning_rate: float, pixels: Pixels) -> None:
        """Hear of a training step."""

    def epoch(self, row: EpochRow, scores: NDArray[np.float32] | None = None) -> None:
        """Hear of an epoch and its probabilities [n, k] on validation data."""


def fit(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    step: Step,
    batches: Callable[[int], Batches],
    steps: int,
    validate: Callable[[], NDArray[np.float32]],
    labels: NDArray[np.integer],
    score: Callable[[EpochRow], float],
    course: Course,
    checkpoints: Checkpoints,
    log: Log,
    report: Reporter,
) -> Fitted:
    """Train a model and leave it with the weights of its best epoch.

    Where `checkpoints` hold the state of an interrupted fit, it goes on from there.

    Args:
        model: uint8 pixels to logits.
        optimizer: of its trainable variables.
        step: one step of this optimiser on this model.
        batches: gives the training batches of an epoch (from 1).
        steps: batches in an epoch.
        validate: gives the current logits [n, k] on validation data.
        labels: int [n], the true categories there.
        score: what an epoch is judged by; less is better.
        course: how long it may go on.
        checkpoints: where the state is kept.
        log: hears of each step and epoch.
        report: shows bars and rows.
    """
    epochs = course.plan.epochs
    progress = checkpoints.load(model, optimizer)
    if progress is None:
        progress = Progress(course.plan, (), 0, math.inf)
        checkpoints.save(progress, model, optimizer)
    row_out = report.table(COLUMNS)
    for row in progress.history:
        row_out(_cells(row))
    while progress.epoch < epochs and not progress.stopped:
        if reason := _reason_to_stop(progress, course):
            progress = replace(progress, stopped=reason)
            break
        epoch, begun = progress.epoch + 1, time.monotonic()
        losses, rates, counts = [], [], []
        with report.bar(f"epoch {epoch}/{epochs}", steps) as advance:
            for pixels, targets in batches(epoch):
                rates.append(float(optimizer.learning_rate))
                losses.append(float(step(pixels, targets)))
                counts.append(len(targets))
                if not math.isfinite(losses[-1]):
                    break
                log.batch((epoch - 1) * steps + len(losses), losses[-1], rates[-1], pixels)
                advance(1)
        logits = validate() if math.isfinite(losses[-1]) else None
        if logits is None or not np.isfinite(logits).all():  # the last step may have spoilt it
            reason = f"the loss was no longer a number in epoch {epoch}; try a lower --lr"
            progress = replace(progress, stopped=reason)
            break
        scores = softmax(logits)
        row = EpochRow(
            "fine_tune",
            epoch,
            None,
            float(np.average(losses, weights=counts)),
            calibrated_loss(logits, labels),
            error_rate(scores, labels),
            macro_f1(scores, labels),
            max(rates),
            time.monotonic() - begun,
        )
        row_out(_cells(row))
        log.epoch(row, scores)
        progress = replace(progress, history=(*progress.history, row))
        if score(row) < progress.best_score:
            progress = replace(progress, best_epoch=epoch, best_score=score(row))
        checkpoints.save(progress, model, optimizer)
    if progress.stopped:  # a training that goes on must not go further
        checkpoints.save(progress, model, optimizer)
    best = None
    if progress.best_epoch:
        checkpoints.load_best(model)
        best = progress.history[progress.best_epoch - 1]
    return Fitted(best, course.plan, progress.history, progress.stopped)


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
