"""Weights for categories of unequal size."""

import numpy as np
from numpy.typing import NDArray

from retrain.config import Balance

UNEQUAL = 3  # the largest category has more than so many times the pictures of the smallest


def category_weights(
    labels: NDArray[np.integer], categories: int, when: Balance
) -> NDArray[np.float64] | None:
    """Return what a picture of each category weighs, float [k], with a mean of 1 over pictures.

    Args:
        labels: int [n], of the training pictures.
        categories: k.
        when: "auto" where the sizes are unequal.

    Returns:
        None where all weigh the same.
    """
    counts = np.bincount(labels, minlength=categories)
    unequal = counts.max() > UNEQUAL * counts[counts > 0].min()
    if when == "never" or (when == "auto" and not unequal):
        return None
    weights = np.divide(1.0, counts, out=np.zeros(categories), where=counts > 0)
    return np.asarray(weights * (len(labels) / (counts > 0).sum()))


def prior_shift(weights: NDArray[np.float64] | None) -> NDArray[np.float32] | float:
    """Return what weights add to logits, float32 [k]; 0 without weights.

    A weight changes how often a category seems to come, and a softmax answers with the logarithm
    of that. Taken off again, scores are those of categories as frequent as they are.
    """
    return 0.0 if weights is None else np.log(weights).astype(np.float32)
