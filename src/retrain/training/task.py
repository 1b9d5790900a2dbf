"""What a training is to learn, and what it may cost."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.data.records import Side
from retrain.model.backbones import Backbone
from retrain.training.folds import Folds
from retrain.training.labelled import Labelled, Varied

if TYPE_CHECKING:
    from retrain.training.team import Team

JUDGES = 150  # groups of pictures that tell a gain from chance; docs/recipes.md


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
    varied: what was made of training pictures and only teaches; None for nothing.
    team: of machines that train together; None for this one alone.
    """

    network: keras.Model
    backbone: Backbone
    rules: PixelRules
    parts: Mapping[Side, Labelled]
    groups: Sequence[str]
    folds: Folds
    categories: tuple[str, ...]
    config: TrainConfig
    varied: Varied | None = None
    team: "Team | None" = None

    def juries(self) -> list[int]:
        """Return the folds that judge fine-tuning, in turn, if there is time for so many trainings.

        They are as many as make `JUDGES` groups of pictures, or as the user wants. There are none
        where the user has made a validation side, which judges instead.
        """
        if len(self.parts["validation"].labels):
            return []
        numbers, most = self.folds.numbers(), self.config.fine_tune.folds
        if most is not None:
            return numbers[:most]
        judges: set[str] = set()
        for count, number in enumerate(numbers, start=1):
            own = np.flatnonzero(self.folds.of_picture == number)
            judges.update(self.groups[i] for i in own.tolist())
            if len(judges) >= JUDGES:
                return numbers[:count]
        return numbers


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

    def left(self) -> float:
        """Return how many seconds are left."""
        return self.deadline - time.monotonic()

    def part(self, own: float, after: float) -> "Budget":
        """Return what a cycle may take that is expected to need so much of the time left.

        Args:
            own: seconds, or anything in proportion, that the cycle is expected to take.
            after: the same of what comes after it.
        """
        share = own / (own + after) if own + after > 0 else 0.5
        return replace(self, deadline=time.monotonic() + share * self.left(), cycles=2)
