"""Intervals for pictures that come in groups: frames of one film tell less than as many strangers.

Pure numbers. A *group* is a joined key: pictures that belong together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain.metrics import wilson_interval

DOUBT = 4.0  # groups with a mistake that the belief weighs that groups fail as a whole
SHARED = 1.1  # cross-fitted intervals are so much wider, as fits share data; docs/trust.md
LAST_FIFTH = 0.2  # of the mistakes, at most: what the last fifth of the pictures may teach


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


def share_of_groups(right: NDArray[np.bool_], groups: Sequence[str]) -> Share:
    """Return the share of right pictures and its interval, allowing for groups.

    The interval is Wilson's for the effective number of pictures; it is never narrower than that
    of as many pictures without relatives.

    Args:
        right: bool [n], of pictures that nobody learned from.
        groups: of each picture, n.
    """
    return _share(right, groups, 0.0, 1.0)


def cross_fitted_share(
    right: NDArray[np.bool_], groups: Sequence[str], optimism: float = 0.0
) -> Share:
    """Return the same for cross-fitted answers, whose intervals must be wider.

    The fits share data, so that their mistakes come together; and the head that is published has
    learned from all pictures, not four fifths, so that it may be better than they are.

    Args:
        right: bool [n].
        groups: of each picture, n.
        optimism: what the share is known to be too high by; it is taken off.
    """
    found = _share(right, groups, optimism, SHARED)
    low, high = found.interval
    high = min(1.0, high + LAST_FIFTH * (1 - found.share)) if found.pictures else high
    return replace(found, interval=(low, high))


def _share(
    right: NDArray[np.bool_], groups: Sequence[str], optimism: float, widened: float
) -> Share:
    total = len(right)
    if total == 0:
        return Share(math.nan, 0, 0, 0.0, (0.0, 1.0))
    effective = effective_pictures(right, groups)
    share = max(0.0, float(right.mean()) - optimism)
    told_by = effective / widened**2
    interval = wilson_interval(share * told_by, told_by)
    return Share(share, total, len(set(groups)), effective, interval)


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
