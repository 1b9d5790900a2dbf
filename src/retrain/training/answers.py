"""What fine-tuned models say of pictures that they had not learned from, and what that decides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.metrics import softmax
from retrain.training.calibration import Prior, fit_temperature, likely_temperature

Array = NDArray[np.float32]
LEAST_GAIN = 0.01  # in log loss; more judges cost a minute each


@dataclass(frozen=True)
class Answers:
    """What fine-tuned models said of pictures that they had not learned from.

    fold: int [m], the fold of each picture; 0 for all of a validation side.
    rows: int [m], the pictures' rows among those to learn from; empty for a validation side.
    logits: float32 [m, k]. labels: int [m].
    share: of the way from the head's weights to the tuned ones that these models were at, 0..1.
    prior: what is known of the temperature of such models; None if nothing is.
    """

    fold: NDArray[np.int64]
    rows: NDArray[np.intp]
    logits: Array
    labels: NDArray[np.integer]
    share: float = 1.0
    prior: Prior | None = None

    @property
    def folds(self) -> list[int]:
        """The folds that judged, rising."""
        return [int(number) for number in np.unique(self.fold)]

    def temperature(self) -> float:
        """Return the temperature that suits all these pictures."""
        return self._temperature(np.ones(len(self.labels), np.bool_))

    def probabilities(self) -> Array:
        """Return calibrated probabilities, float32 [m, k].

        A fold's temperature is fitted on the others, as that of the head is; a single fold's on
        itself, for want of others.
        """
        found = np.empty_like(self.logits)
        for number in self.folds:
            own = self.fold == number
            others = ~own if len(self.folds) > 1 else own
            found[own] = softmax(self.logits[own], self._temperature(others))
        return found

    def _temperature(self, some: NDArray[np.bool_]) -> float:
        logits, labels = self.logits[some], self.labels[some]
        if self.prior is None:
            return fit_temperature(logits, labels)
        return likely_temperature(logits, labels, self.prior)


def is_better(gains: NDArray[np.floating]) -> bool:
    """Tell by gains [m], in log loss on the same pictures, whether fine-tuning is published.

    It is where the mean is a gain: `bench/contest.py` compares rules by their regret, and to ask
    for more than that loses more by good models that are thrown away than it saves by bad ones.
    """
    return len(gains) > 0 and bool(gains.mean() > 0)


def has_lost(gains: NDArray[np.floating]) -> bool:
    """Tell whether more judges would hardly find a gain that is worth their time."""
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return bool(gains.mean() + error < LEAST_GAIN)
