"""What heads learn from and are judged by: features, labels, and what belongs together."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retrain.data.stream import cores
from retrain.training.balance import prior_shift, varied_shift
from retrain.training.labelled import Varied
from retrain.training.regression import Array, Axes, Exact, Linear, Point, Regression

ROUGH = 1e-4  # tolerance where mistakes are only counted
APPROACH = (0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)  # to a weak penalty, each from the one before
ITERATIONS = 200  # of a rough fit, at most

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Examples:
    """Pictures as numbers.

    features: float32 [n, d]. labels: int [n]; every category from 0 to the highest occurs. groups:
    the joined key of each. weights: of a picture by its category, float [k]; None for all the same.
    varied: what was made of these pictures and only teaches; None for nothing.
    """

    features: Array
    labels: NDArray[np.integer]
    groups: Sequence[str]
    weights: Exact | None = None
    varied: Varied | None = None

    @cached_property
    def categories(self) -> int:
        """How many there are, k."""
        return int(self.labels.max()) + 1

    @cached_property
    def axes(self) -> Axes:
        """Their principal axes."""
        return Axes.of([self.features, *([self.varied.features] if self.varied else [])])

    @cached_property
    def index(self) -> NDArray[np.int64]:
        """Return the number of each picture's group, int64 [n], from 0 in the order of names."""
        names = np.asarray(self.groups, dtype=object)
        return np.asarray(np.unique(names, return_inverse=True)[1], np.int64)

    def expected(self, head: Linear) -> Linear:
        """Return a head fitted with weights, as if categories came as often as they do."""
        return Linear(head.kernel, np.asarray(head.bias - self.shift, np.float32))

    @cached_property
    def shift(self) -> Array | float:
        """What weights and variations add to logits, float32 [k]."""
        shift = prior_shift(self.weights)
        if self.varied is not None:
            shift = shift + varied_shift(self.labels, self.varied.of, self.categories)
        return shift

    def taught(
        self, parts: Sequence[Array], rows: NDArray[np.integer]
    ) -> tuple[list[Array], NDArray[np.integer]]:
        """Return features and labels of all that some rows teach: of what was made of them, too.

        Args:
            parts: the features of these rows, one array below the other.
            rows: indices of pictures.
        """
        labels = self.labels[rows]
        if self.varied is None:
            return [*parts], labels
        some = np.isin(self.varied.of, rows)
        made = self.labels[self.varied.of[some]]
        return [*parts, self.varied.features[some]], np.concatenate([labels, made])

    def rough_head(self, rows: NDArray[np.integer], penalty: float) -> Linear:
        """Fit some of the pictures, well enough to count mistakes, in a third of the time.

        Args:
            rows: indices of the pictures; every category is among them.
            penalty: above 0.
        """
        parts, labels = self.taught([self.features[rows]], rows)
        fit = Regression(parts, labels, self.categories, self.weights, self.axes)
        point: Point | None = None
        for stronger in (p for p in APPROACH if p > 2 * penalty):
            point = fit.solve(stronger, point, ITERATIONS, ROUGH)
        return self.expected(fit.linear(fit.solve(penalty, point, ITERATIONS, ROUGH)))


def side_by_side(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Map over items in threads; matrix products run outside the interpreter's lock."""
    with ThreadPoolExecutor(max(1, min(cores(), len(items)))) as pool:
        return list(pool.map(function, items))
