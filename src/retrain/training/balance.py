"""Weights for categories of unequal size."""

import numpy as np
from numpy.typing import NDArray

from retrain.config import Balance

UNEQUAL = 3  # times the pictures of the smallest category; with more, sizes count as unequal


def category_weights(
    labels: NDArray[np.integer], categories: int, when: Balance
) -> NDArray[np.float64] | None:
    """Return how much a picture of each category counts, with a mean of 1 over all pictures.

    Args:
        labels: int [n], the categories of the training pictures.
        categories: k, the number of categories.
        when: whether there are weights; "auto" if the sizes of categories are unequal.

    Returns:
        float [k]; None if all pictures count the same.
    """
    counts = np.bincount(labels, minlength=categories)
    unequal = counts.max() > UNEQUAL * counts[counts > 0].min()
    if when == "never" or (when == "auto" and not unequal):
        return None
    weights = np.divide(1.0, counts, out=np.zeros(categories), where=counts > 0)
    return np.asarray(weights * (len(labels) / (counts > 0).sum()))


def prior_shift(weights: NDArray[np.float64] | None) -> NDArray[np.float32] | float:
    """Return what weights add to logits, float32 [k]; 0 without weights.

    A weight changes how frequent a category seems to be, and logits follow the logarithm of that.
    Once it is taken off again, scores are those of categories as frequent as they are.
    """
    return 0.0 if weights is None else np.log(weights).astype(np.float32)


def varied_shift(
    labels: NDArray[np.integer], of: NDArray[np.integer], categories: int
) -> NDArray[np.float32]:
    """Return what variations of pictures add to logits, float32 [k], as weights do.

    Args:
        labels: int [n], the categories of the training pictures, without their variations.
        of: int [m], the row of each variation's original.
        categories: k, the number of categories.
    """
    own = np.bincount(labels, minlength=categories)
    all_of_it = own + np.bincount(labels[of], minlength=categories)
    return np.log(all_of_it / np.maximum(own, 1)).astype(np.float32)
