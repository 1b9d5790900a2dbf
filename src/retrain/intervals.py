"""Intervals for pictures that come in groups: frames of one film tell less than as many strangers.

Pure numbers. A *group* is a joined key: pictures that belong together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.metrics import wilson_interval

DOUBT = 4.0  # groups with a mistake that the belief weighs that groups fail as a whole
SHARED = 1.0  # what intervals of cross-fitted answers are wider by; docs/trust.md


@dataclass(frozen=True)
class Share:
    """A share of pictures that are right, with what it can be trusted to.

    effective: how many pictures without relatives would tell as much; never more than there are.
    interval: 95 %.
    """

    share: float
    pictures: int
    groups: int
    effective: float
    interval: tuple[float, float]


def share_of_groups(
    right: NDArray[np.bool_],
    groups: Sequence[str],
    optimism: float = 0.0,
    widened: float = 1.0,
) -> Share:
    """Return the share of right pictures and its interval, allowing for groups.

    The interval is Wilson's for the effective number of pictures. No interval is narrower than one
    of as many pictures without relatives.

    Args:
        right: bool [n].
        groups: of each picture, n.
        optimism: what the share is known to be too high by; it is taken off.
        widened: what the interval is wider by than chance alone would have it, 1 or more.
    """
    total = len(right)
    if total == 0:
        return Share(math.nan, 0, 0, 0.0, (0.0, 1.0))
    effective = effective_pictures(right, groups)
    share = max(0.0, float(right.mean()) - optimism)
    low, high = wilson_interval(share * effective / widened**2, effective / widened**2)
    return Share(share, total, len(set(groups)), effective, (low, high))


def effective_pictures(right: NDArray[np.bool_], groups: Sequence[str]) -> float:
    """Return how many pictures without relatives would tell as much about the share of right ones.

    n over the design effect 1 + (m - 1) r (Kish 1965): m is the size of a picture's group in the
    mean over pictures, and r how alike pictures of one group fare, from 0 (as strangers do) to 1
    (all right or all wrong), which the variance between groups shows. Few groups with a mistake
    show little of it: then r is drawn towards 1.

    Returns:
        From 1 to n.
    """
    total = len(right)
    _, index = np.unique(np.asarray(groups, dtype=object), return_inverse=True)
    sizes = np.bincount(index).astype(np.float64)
    size = float((sizes**2).sum() / total)
    if size <= 1.0:
        return float(total)
    wrong = np.bincount(index, ~right).astype(np.float64)
    alike = _alikeness(wrong, sizes, float(wrong.sum() / total))
    failing = min(int((wrong > 0).sum()), int((wrong < sizes).sum()))
    alike = (failing * alike + DOUBT) / (failing + DOUBT)
    return float(total / (1.0 + (size - 1.0) * alike))


def _alikeness(wrong: NDArray[np.float64], sizes: NDArray[np.float64], share: float) -> float:
    """Return the correlation of pictures within groups, 0..1, weighing pairs of pictures alike."""
    spread = share * (1.0 - share)
    pairs = float((sizes * (sizes - 1.0)).sum())
    if spread == 0.0 or pairs == 0.0:
        return 0.0
    own = (wrong - sizes * share) ** 2  # sum over i, j of (x_i - p)(x_j - p), i = j included
    same = wrong * (1 - share) ** 2 + (sizes - wrong) * share**2
    return min(1.0, max(0.0, float((own - same).sum()) / (pairs * spread)))
