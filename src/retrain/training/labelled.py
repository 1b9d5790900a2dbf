"""What the stages learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.records import Picture


@dataclass(frozen=True)
class Labelled:
    """Pictures of one side with their features float32 [n, d] and label indices [n]."""

    pictures: Sequence[Picture]
    features: NDArray[np.float32]
    labels: NDArray[np.integer]
