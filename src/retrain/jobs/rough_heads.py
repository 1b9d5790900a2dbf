"""Rough heads that judge every picture without having seen it or its relatives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.groups import join
from retrain.data.records import Picture
from retrain.data.relations import Relation
from retrain.metrics import softmax
from retrain.training.calibration import fit_temperature
from retrain.training.crossfit import put_said, rough_heads
from retrain.training.examples import Examples
from retrain.training.folds import UNJUDGED, assign_folds
from retrain.training.regression import Array, Linear

FOLDS = 5
PENALTY = 0.1  # strong, so that a wrong label is not learned by heart


@dataclass(frozen=True)
class Heads:
    """One head a fold, and what it says of the pictures that it had not seen.

    fold: int64 [n], `UNJUDGED` where every head has seen a picture.
    groups: of what belongs together, by picture.
    temperature: of all heads.
    probabilities: float32 [n, k], NaN where no head can judge.
    """

    by_fold: Mapping[int, Linear]
    fold: NDArray[np.int64]
    groups: Sequence[str]
    temperature: float
    probabilities: Array

    def say(self, features: Array, fold: NDArray[np.integer]) -> Array:
        """Return probabilities float32 [m, k] for features [m, d], each by the head of a fold."""
        logits = np.full((len(fold), self.probabilities.shape[1]), np.nan, np.float32)
        put_said(logits, self.by_fold, features, fold)
        return softmax(logits, self.temperature)


def fit_rough_heads(
    pictures: Sequence[Picture],
    labels: NDArray[np.int64],
    features: Array,
    relations: Sequence[Relation],
    folds: Mapping[str, int],
) -> Heads:
    """Fit heads on all pictures, whatever their side.

    Args:
        pictures: n of them, of two categories or more.
        labels: int [n]; every category from 0 to the highest occurs.
        features: float32 [n, d].
        relations: between pictures, which then are in one fold.
        folds: of earlier trainings, by content.
    """
    joined = join(pictures, relations)
    groups = [joined.sets.get(picture.key, picture.key) for picture in pictures]
    old = [folds.get(picture.sha256) for picture in pictures]
    fold = assign_folds(groups, labels, FOLDS, old).of_picture
    examples = Examples(features, labels, groups)
    heads = rough_heads(examples, fold, PENALTY)
    logits = np.full((len(labels), examples.categories), np.nan, np.float32)
    put_said(logits, heads, features, fold)
    judged = fold != UNJUDGED
    temperature = fit_temperature(logits[judged], labels[judged])
    return Heads(heads, fold, groups, temperature, softmax(logits, temperature))
