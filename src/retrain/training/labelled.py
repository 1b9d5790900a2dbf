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

    def with_varied(self, varied: "Varied | None") -> "Labelled":
        """Return these and what was made of them; the labels are those of the originals."""
        if varied is None:
            return self
        return Labelled(
            [*self.pictures, *varied.pictures],
            np.concatenate([self.features, varied.features]),
            np.concatenate([self.labels, self.labels[varied.of]]),
        )

    def some(self, rows: NDArray[np.integer]) -> "Labelled":
        """Return those of some rows; their features are copied."""
        return Labelled([self.pictures[i] for i in rows], self.features[rows], self.labels[rows])


@dataclass(frozen=True)
class Varied:
    """Pictures that were made of training pictures: they only teach, and judge nothing.

    pictures: m pictures.
    features: float32 [m, d].
    of: int [m], the row of each one's original among the training pictures.
    """

    pictures: Sequence[Picture]
    features: NDArray[np.float32]
    of: NDArray[np.integer]

    def among(self, rows: NDArray[np.integer]) -> "Varied":
        """Return those whose originals are among some training pictures, by their place there."""
        place = {int(row): i for i, row in enumerate(rows)}
        own = [i for i, row in enumerate(self.of.tolist()) if row in place]
        of = np.array([place[int(self.of[i])] for i in own], np.intp)
        return Varied([self.pictures[i] for i in own], self.features[own], of)
