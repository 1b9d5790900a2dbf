"""What an interrupted fine-tuning goes on from; written after each epoch, each file atomically."""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from retrain.errors import MachineError
from retrain.files import atomic_writer
from retrain.training.history import EpochRow

UNREADABLE = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Plan:
    """What was settled before the first epoch; a training that goes on keeps to it.

    epochs: the highest number of epochs.
    learning_rates: the peaks of the first free layer group and of the head.
    """

    epochs: int
    learning_rates: tuple[float, float]


@dataclass(frozen=True)
class Progress:
    """Where a fine-tuning stands.

    plan: what was settled before the first epoch.
    history: one row for each finished epoch.
    best_epoch: the number of the best epoch; 0 before the first one is finished.
    best_score: the score of that epoch; less is better.
    stopped: why no further epoch may begin; None if one may.
    """

    plan: Plan
    history: tuple[EpochRow, ...]
    best_epoch: int
    best_score: float
    stopped: str | None = None

    @property
    def epoch(self) -> int:
        """The number of the last finished epoch; 0 before the first."""
        return len(self.history)


class Checkpoints:
    """The checkpoints of one run.

    `state.npz` holds the model, the optimiser (whose step is the position in the schedule) and the
    state of Keras' random layers after the last epoch. `best.npz` holds the best epoch's model.
    Shuffling and views need no state, since they follow from (seed, epoch, picture).
    """

    def __init__(self, folder: Path) -> None:
        self.state, self.best = folder / "state.npz", folder / "best.npz"

    def save(
        self, progress: Progress, model: keras.Model, optimizer: keras.optimizers.Optimizer
    ) -> None:
        """Write the state after an epoch, and also the model if this epoch is the best."""
        weights = _values("model", model.variables)
        if progress.best_epoch == progress.epoch > 0 and not progress.stopped:
            _write(self.best, weights)
        told = {"progress": np.array(json.dumps(asdict(progress)))}
        _write(self.state, weights | _values("optimizer", optimizer.variables) | told)

    def load(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Progress | None:
        """Put model and optimiser back to where they were; return None without a checkpoint.

        Raises:
            MachineError: the checkpoint is damaged.
        """
        progress = self.progress()
        if progress is not None:
            _assign(self.state, {"model": model.variables, "optimizer": optimizer.variables})
        return progress

    def progress(self) -> Progress | None:
        """Return where the training stood; None if it was not yet planned or cannot be read."""
        try:
            with np.load(self.state) as values:
                told = json.loads(str(values["progress"]))
        except UNREADABLE:
            return None
        plan = Plan(told["plan"]["epochs"], tuple(told["plan"]["learning_rates"]))
        history = tuple(EpochRow(**row) for row in told["history"])
        return Progress(plan, history, told["best_epoch"], told["best_score"], told["stopped"])

    def learned(self) -> int:
        """Return how many epochs were finished."""
        progress = self.progress()
        return progress.epoch if progress else 0

    def load_best(self, model: keras.Model) -> None:
        """Give a model the weights of the best epoch.

        Raises:
            MachineError: the checkpoint is damaged.
        """
        _assign(self.best, {"model": model.variables})


def _values(kind: str, variables: list[keras.Variable]) -> dict[str, Any]:
    return {f"{kind}/{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(variables)}


def _assign(path: Path, variables: Mapping[str, list[keras.Variable]]) -> None:
    try:
        with np.load(path) as values:
            for kind, those in variables.items():
                for i, variable in enumerate(those):
                    variable.assign(values[f"{kind}/{i}"])
    except UNREADABLE as error:
        raise MachineError(
            f"The checkpoint {path} is damaged ({error}). Start a fresh training.",
            setting="fresh",
        ) from error


def _write(path: Path, values: dict[str, Any]) -> None:
    with atomic_writer(path) as part, part.open("wb") as file:
        np.savez(file, **values)
        file.flush()
        os.fsync(file.fileno())  # the name must not reach the disk before the content
