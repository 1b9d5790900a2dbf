"""What heads learn from and are judged by: features, labels, and what belongs together."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retrain.data.stream import cores
from retrain.training.balance import prior_shift
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
    """

    features: Array
    labels: NDArray[np.integer]
    groups: Sequence[str]
    weights: Exact | None = None

    @cached_property
    def categories(self) -> int:
        """How many there are, k."""
        return int(self.labels.max()) + 1

    @cached_property
    def axes(self) -> Axes:
        """Their principal axes."""
        return Axes.of([self.features])

    @cached_property
    def index(self) -> NDArray[np.int64]:
        """Return the number of each picture's group, int64 [n], from 0 in the order of names."""
        names = np.asarray(self.groups, dtype=object)
        return np.asarray(np.unique(names, return_inverse=True)[1], np.int64)

    def expected(self, head: Linear) -> Linear:
        """Return a head fitted with weights, as if categories came as often as they do."""
        return Linear(head.kernel, np.asarray(head.bias - prior_shift(self.weights), np.float32))

    def rough_head(self, rows: NDArray[np.integer], penalty: float) -> Linear:
        """Fit some of the pictures, well enough to count mistakes, in a third of the time.

        Args:
            rows: indices of the pictures; every category is among them.
            penalty: above 0.
        """
        parts = [self.features[rows]]
        fit = Regression(parts, self.labels[rows], self.categories, self.weights, self.axes)
        point: Point | None = None
        for stronger in (p for p in APPROACH if p > 2 * penalty):
            point = fit.solve(stronger, point, ITERATIONS, ROUGH)
        return self.expected(fit.linear(fit.solve(penalty, point, ITERATIONS, ROUGH)))


def side_by_side(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Map over items in threads; matrix products run outside the interpreter's lock."""
    with ThreadPoolExecutor(max(1, min(cores(), len(items)))) as pool:
        return list(pool.map(function, items))
