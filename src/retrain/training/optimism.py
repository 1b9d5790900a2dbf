"""What choosing among heads on the published rows flatters their figures by.

BBC-CV: Tsamardinos, Greasidou and Borboudakis 2018, https://doi.org/10.1007/s10994-018-5714-4.
Pure numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.training.regression import Exact

DRAWS = 500  # of the bootstrap


@dataclass(frozen=True)
class Optimism:
    """What the choice of the penalty flatters the rows by that it was made on; never below 0."""

    accuracy: float
    log_loss: float


def optimism(
    losses: NDArray[np.floating],
    right: NDArray[np.bool_],
    groups: Sequence[str],
    chosen: int,
    seed: int = 0,
) -> Optimism:
    """Return what choosing one of several heads on some pictures flatters its figures there by.

    Groups are drawn with replacement; the head that is best on the drawn ones is compared with the
    chosen one on those that were not drawn. What it is worse by is the optimism.

    Args:
        losses: float [heads, n].
        right: bool [heads, n].
        groups: of each picture, n.
        chosen: the index of the head that was chosen on all pictures.
        seed: of the draws.
    """
    names, index = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    if len(names) < 2 or len(losses) < 2:
        return Optimism(0.0, 0.0)

    def sums(values: NDArray[np.generic]) -> Exact:
        rows = np.atleast_2d(values).astype(np.float64)
        return np.stack([np.bincount(index, row, len(names)) for row in rows])

    draws = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), DRAWS
    )
    loss, hits, sizes = sums(losses), sums(right), sums(np.ones(len(groups)))
    picked = (draws @ loss.T).argmin(axis=1)
    out = (draws == 0).astype(np.float64)
    pictures = np.maximum(out @ sizes.T, 1.0)

    def worse(values: Exact) -> float:
        means = (out @ values.T) / pictures
        return float((means[np.arange(DRAWS), picked] - means[:, chosen]).mean())

    return Optimism(max(0.0, -worse(hits)), max(0.0, worse(loss)))
