"""The epoch loop: train, validate, show a row, keep the best, stop in time."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.metrics import error_rate, log_loss
from retrain.progress import Reporter
from retrain.train.optim import Step, make_step

COLUMNS = ("epoch", "train loss", "valid loss", "error rate", "learning rate", "time")

Batches = Iterator[tuple[Pixels, NDArray[np.integer]]]


@dataclass(frozen=True)
class EpochRow:
    """One line of history.csv. For the head an epoch is one penalty, without a learning rate.

    seconds: wall time, validation included.
    """

    stage: str
    epoch: int
    train_loss: float
    valid_loss: float
    error_rate: float
    learning_rate: float | None
    seconds: float


@dataclass(frozen=True)
class Fitted:
    """The outcome of a fit. improved: whether an epoch beat the model as it came."""

    improved: bool
    best_loss: float
    history: tuple[EpochRow, ...]
    stopped: str | None


def fit(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    batches: Callable[[int], Batches],
    steps: int,
    validate: Callable[[], NDArray[np.float32]],
    labels: NDArray[np.integer],
    epochs: int,
    patience: int,
    to_beat: float,
    checkpoint: Path,
    deadline: float,
    report: Reporter,
) -> Fitted:
    """Train a model and leave it with the weights of its best epoch, if one beat it.

    Args:
        model: uint8 pixels to logits.
        optimizer: for its trainable variables.
        batches: gives the training batches of an epoch (from 1).
        steps: batches in an epoch.
        validate: gives the current probabilities [n, k] on validation data.
        labels: int [n], the true categories there.
        epochs: at most.
        patience: epochs without a better validation loss before stopping.
        to_beat: validation loss of the model as it comes.
        checkpoint: the best weights so far are written here.
        deadline: `time.monotonic()` that no further epoch may overrun; `math.inf` for none.
        report: shows bars and rows.
    """
    history: list[EpochRow] = []
    best_loss, best_epoch, stopped = to_beat, 0, None
    step = make_step(model, optimizer)
    row_out = report.table(COLUMNS)
    for epoch in range(1, epochs + 1):
        start = time.monotonic()
        rate = float(optimizer.learning_rate)
        train_loss = _train_epoch(step, batches(epoch), f"epoch {epoch}/{epochs}", steps, report)
        if not math.isfinite(train_loss):
            stopped = f"the loss was no longer a number in epoch {epoch}"
            break
        probabilities = validate()
        loss, error = log_loss(probabilities, labels), error_rate(probabilities, labels)
        seconds = time.monotonic() - start
        history.append(EpochRow("fine_tune", epoch, train_loss, loss, error, rate, seconds))
        row_out(_cells(history[-1]))
        if loss < best_loss:
            best_loss, best_epoch = loss, epoch
            model.save_weights(checkpoint)
        if epoch - best_epoch >= patience and epoch < epochs:
            stopped = f"no better validation loss since {_moment(best_epoch)}"
            break
        if time.monotonic() + seconds > deadline and epoch < epochs:
            stopped = f"the time budget ends after epoch {epoch} of {epochs}"
            break
    if best_epoch:
        model.load_weights(checkpoint)
    return Fitted(best_epoch > 0, best_loss, tuple(history), stopped)


def _moment(epoch: int) -> str:
    return f"epoch {epoch}" if epoch else "the head"


def _train_epoch(step: Step, batches: Batches, label: str, steps: int, report: Reporter) -> float:
    losses, counts = [], []
    with report.bar(label, steps) as advance:
        for pixels, labels in batches:
            losses.append(float(step(pixels, labels)))
            counts.append(len(labels))
            advance(1)
    return float(np.average(losses, weights=counts))


def _cells(row: EpochRow) -> list[str]:
    return [
        str(row.epoch),
        f"{row.train_loss:.4f}",
        f"{row.valid_loss:.4f}",
        f"{row.error_rate:.4f}",
        "" if row.learning_rate is None else f"{row.learning_rate:.1e}",
        f"{row.seconds:.1f} s",
    ]
