"""What a guess needs of an engine, whatever runs underneath."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels


class Answer(NamedTuple):
    """probabilities: float32 [n, k] in label order. features: float32 [n, d]."""

    probabilities: NDArray[np.float32]
    features: NDArray[np.float32]


class Engine(Protocol):
    """Runs a trained model on pixels."""

    def run(self, pixels: Pixels) -> Answer:
        """Answer for uint8 [n, size, size, 3]."""
