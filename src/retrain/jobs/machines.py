"""Other machines that help with a training, as jobs see them."""

from dataclasses import dataclass

from retrain.features import Extractor
from retrain.training.team import Team


@dataclass(frozen=True)
class Machines:
    """What computes beside this process; `cluster/machines.py` puts a cluster together.

    extractor: computes features; None for this process.
    team: trains together; None where there is but one machine.
    gpus: how many GPUs of this machine share each training step; None for all.
    """

    extractor: Extractor | None = None
    team: Team | None = None
    gpus: int | None = None
