"""What an interrupted fine-tuning goes on from; written after each round, atomically."""

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
from retrain.training.learner import Learner
from retrain.training.plan import Plan

UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Progress:
    """Where a fine-tuning stands.

    plan: what was settled before the first step, and how the clock has shortened it.
    step: the number of steps that were taken.
    history: one row for each finished round.
    seconds: how long all that took.
    stopped: why no further step may be taken; None if one may.
    """

    plan: Plan
    step: int = 0
    history: tuple[EpochRow, ...] = ()
    seconds: float = 0.0
    stopped: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the cycle came to its end."""
        return not self.stopped and self.step >= self.plan.steps


class Checkpoints:
    """The checkpoints of one run.

    A file holds the model, the optimiser and the state of Keras' random layers after the last
    round. Order and views need no state, since they follow from the number of the step.
    """

    def __init__(self, folder: Path, name: str = "state") -> None:
        self.state, self._folder = folder / f"{name}.npz", folder

    def of(self, name: str) -> "Checkpoints":
        """Return those of another cycle of the same run."""
        return Checkpoints(self._folder, name)

    def save(self, progress: Progress, learner: Learner) -> None:
        """Write the state after some steps."""
        weights = _values("model", learner.model.variables)
        moments = _values("optimizer", learner.optimizer.variables)
        told = {"progress": np.array(json.dumps(asdict(progress)))}
        _write(self.state, weights | moments | told)

    def load(self, learner: Learner) -> Progress | None:
        """Put model and optimiser back to where they were; return None without a checkpoint.

        Raises:
            MachineError: the checkpoint is damaged.
        """
        progress = self.progress()
        if progress is not None:
            variables = {"model": learner.model.variables, "optimizer": learner.optimizer.variables}
            _assign(self.state, variables)
        return progress

    def progress(self) -> Progress | None:
        """Return where the training stood; None if it was not yet planned or cannot be read."""
        try:
            with np.load(self.state) as values:
                told = json.loads(str(values["progress"]))
            history = tuple(EpochRow(**row) for row in told["history"])
            return Progress(**{**told, "plan": Plan.read(told["plan"]), "history": history})
        except UNREADABLE:
            return None

    def learned(self) -> int:
        """Return how many steps were taken."""
        progress = self.progress()
        return progress.step if progress else 0


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
