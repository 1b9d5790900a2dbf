"""What trains on several machines, as fine-tuning sees it."""

from typing import Protocol

from retrain.progress import Reporter
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.fit import Course, Log
from retrain.training.tuning import Tuning


class Team(Protocol):
    """Machines that train one model together; `cluster/team.py` has the real one."""

    @property
    def size(self) -> int:
        """How many there are now."""

    def fit(
        self,
        tuning: Tuning,
        course: Course,
        checkpoints: Checkpoints,
        report: Reporter,
        *,
        log: Log,
        shows: bool,
    ) -> Progress:
        """Do what `retrain.training.fit.fit` does, in the rig of a plan on each machine.

        Args:
            tuning: the model, the pictures and the recipe.
            course: the plan, and when the cycle must end.
            checkpoints: hold the model of the last step afterwards.
            report: shows bars and rows.
            log: hears of each step and round.
            shows: whether pictures that are not learned from show each round's losses.
        """
