"""A run's float32 model for many pixels at once: probabilities and features."""

import numpy as np

from retrain.data.images import Pixels
from retrain.data.stream import cores, ordered
from retrain.infer.choice import open_engine
from retrain.infer.engine import Answer
from retrain.run import Run


class Answers:
    """What a run's model says, computed side by side on all cores, without TensorFlow."""

    def __init__(self, run: Run) -> None:
        """Open the model.

        Raises:
            BundleError: it cannot be read.
        """
        self._engine = open_engine(run, "float32", None, cores())

    def __call__(self, pixels: Pixels) -> Answer:
        """Answer for uint8 [n, size, size, 3], one picture or more."""
        lanes = self._engine.lanes
        one_by_one = (pixels[i : i + 1] for i in range(len(pixels)))
        found = list(ordered(self._engine.run, one_by_one, 4 * lanes, lanes))
        return Answer(
            np.concatenate([one.probabilities for one in found]),
            np.concatenate([one.features for one in found]),
        )
