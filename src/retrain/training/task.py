"""What a training is to learn, and what it may cost."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.data.records import Side
from retrain.model.backbones import Backbone
from retrain.training.folds import Folds
from retrain.training.labelled import Labelled


@dataclass(frozen=True)
class Task:
    """What is to be learned, from what, and how.

    network: the frozen backbone, from uint8 pixels to features.
    backbone: the backbone's row of the table.
    rules: how pictures become pixels.
    parts: pictures, features and labels of each side.
    groups: what each training picture belongs to.
    folds: which training pictures judge together.
    categories: their names, in the order of the model's outputs.
    config: the recipe, and the seed.
    """

    network: keras.Model
    backbone: Backbone
    rules: PixelRules
    parts: Mapping[Side, Labelled]
    groups: Sequence[str]
    folds: Folds
    categories: tuple[str, ...]
    config: TrainConfig

    def jury(self) -> NDArray[np.intp]:
        """Return the rows of training pictures that judge fine-tuning: those of one fold.

        None do where the user has made a validation side, which judges instead.
        """
        numbers = self.folds.numbers()
        if len(self.parts["validation"].labels) or not numbers:
            return np.zeros(0, np.intp)
        return np.flatnonzero(self.folds.of_picture == numbers[0])


@dataclass(frozen=True)
class Budget:
    """What fine-tuning may cost.

    seconds_per_picture: the time that one forward pass takes per picture.
    deadline: when it must end, on the clock of `time.monotonic()`; `math.inf` for no limit.
    disk: a folder that may hold what is only needed meanwhile.
    cycles: how many cycles as long as the one until the deadline there are in all.
    """

    seconds_per_picture: float
    deadline: float
    disk: Path
    cycles: int = 1

    def half(self) -> "Budget":
        """Return the first half of the time that is left; the second is for another cycle."""
        now = time.monotonic()
        return replace(self, deadline=now + (self.deadline - now) / 2, cycles=2)
