"""Likely wrong labels, told from what heads say that had not learned from the picture.

Confident learning (Northcutt, Jiang and Chuang 2021, https://doi.org/10.1613/jair.1.12125): a
category's threshold is the mean probability that its own pictures get for it; a picture counts as
confidently of the most probable category whose threshold it reaches. Where that is not its label,
the label is doubted; the normalised margin says how much. Pure: numbers in, numbers out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating]
Labels = NDArray[np.integer]


@dataclass(frozen=True)
class Doubts:
    """What is thought of n labels.

    margin: float64 [n], 0 where another category is certain, 1 where the label is.
    confident: int64 [n], the category that a picture confidently is of; -1 where it reaches no
        threshold.
    best: int64 [n], the most probable category other than the label.
    """

    margin: NDArray[np.float64]
    confident: NDArray[np.int64]
    best: NDArray[np.int64]

    def wrong(self, labels: Labels) -> NDArray[np.int64]:
        """Return the rows of likely wrong labels, the least margin first.

        They are those that confidently are of another category, or whose label another one beats.
        """
        doubted = ((self.confident >= 0) & (self.confident != labels)) | (self.margin < 0.5)
        rows = np.flatnonzero(doubted)
        return rows[np.argsort(self.margin[rows], kind="stable")]


def doubts(probabilities: Probabilities, labels: Labels) -> Doubts:
    """Compare labels with probabilities.

    Args:
        probabilities: float [n, k], two categories or more, of heads that had not learned from the
            picture.
        labels: int [n].
    """
    exact = probabilities.astype(np.float64)
    rows = np.arange(len(labels))
    own = exact[rows, labels]
    others = exact.copy()
    others[rows, labels] = -np.inf
    best = others.argmax(axis=1)
    margin = (own - others[rows, best] + 1) / 2
    reached = exact >= thresholds(exact, labels) - 1e-6  # float32 says the same twice
    confident = np.where(reached, exact, -np.inf).argmax(axis=1)
    confident[~reached.any(axis=1)] = -1
    return Doubts(margin, confident, best)


def thresholds(probabilities: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Return the mean probability that pictures of a category get for it, float64 [k].

    It is infinite where a category has no picture.
    """
    exact, count = probabilities.astype(np.float64), probabilities.shape[1]
    sizes = np.bincount(labels, minlength=count)
    sums = np.bincount(labels, exact[np.arange(len(labels)), labels], count)
    return np.asarray(np.where(sizes > 0, sums / np.maximum(sizes, 1), np.inf))


def confident_joint(confident: NDArray[np.int64], labels: Labels, count: int) -> NDArray[np.int64]:
    """Count pictures by label (rows) and by the category that they confidently are of, [k, k]."""
    seen = confident >= 0
    joint = np.zeros((count, count), np.int64)
    np.add.at(joint, (labels[seen], confident[seen]), 1)
    return joint
