"""What the stages learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.records import Picture


@dataclass(frozen=True)
class Labelled:
    """The pictures of one side.

    pictures: n pictures.
    features: float32 [n, d], the features of these pictures.
    labels: int [n], the index of each picture's category.
    """

    pictures: Sequence[Picture]
    features: NDArray[np.float32]
    labels: NDArray[np.integer]

    def some(self, rows: NDArray[np.integer]) -> "Labelled":
        """Return those of some rows; their features are copied."""
        return Labelled([self.pictures[i] for i in rows], self.features[rows], self.labels[rows])
