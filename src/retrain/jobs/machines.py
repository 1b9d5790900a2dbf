"""Other machines that help with a training, as jobs see them."""

from dataclasses import dataclass

from retrain.features import Extractor
from retrain.training.team import Team


@dataclass(frozen=True)
class Machines:
    """What a cluster takes over; `cluster/machines.py` puts it together.

    extractor: computes features. team: trains together; None where there is but one machine.
    """

    extractor: Extractor
    team: Team | None = None
