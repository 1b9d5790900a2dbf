"""What in a picture speaks for a category, found by covering parts of it; without TensorFlow.

Where a cover lowers the score, something was that speaks for the category (Zeiler and Fergus 2014,
https://arxiv.org/abs/1311.2901, section 4.2). It is coarser than the heat maps of `interpret.py`,
and needs nothing but guesses.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from retrain.data.images import Pixels

Array = NDArray[np.float32]

STEPS = 9  # places of the cover in each direction
COVER = 0.25  # side of the cover as a share of the picture's
SMOOTH = 0.03  # of the edges of covers, as a share of the picture's side
TINY = 1e-6  # below which a probability says no less
LEAST = 0.05  # change of the log probability that is worth a glow


def occlusion(probabilities: Callable[[Pixels], Array], pixels: Pixels, category: int) -> Array:
    """Return how much each part speaks for a category, float32 [size, size], 0..1.

    Args:
        probabilities: of pixels uint8 [n, size, size, 3], float32 [n, k].
        pixels: uint8 [size, size, 3], as the network sees the picture.
        category: its index.
    """
    size = len(pixels)
    covers = _covers(size)
    covered = np.repeat(pixels[np.newaxis], len(covers) + 1, axis=0)
    colour = pixels.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    for one, (rows, columns) in zip(covered[1:], covers, strict=True):
        one[rows, columns] = colour
    scores = np.log(np.maximum(probabilities(covered)[:, category], TINY))
    heat, times = np.zeros((2, size, size), np.float32)
    for lost, (rows, columns) in zip(scores[0] - scores[1:], covers, strict=True):
        heat[rows, columns] += max(0.0, float(lost))
        times[rows, columns] += 1
    heat = np.asarray(gaussian_filter(heat / np.maximum(times, 1), SMOOTH * size), np.float32)
    most = float(heat.max())
    return np.asarray(heat / most if most >= LEAST else np.zeros_like(heat), np.float32)


def _covers(size: int) -> list[tuple[slice, slice]]:
    """Return rows and columns of all places of the cover; together they reach every pixel."""
    side = max(1, round(COVER * size))
    starts = np.linspace(0, size - side, STEPS).round().astype(int).tolist()
    return [(slice(top, top + side), slice(left, left + side)) for top in starts for left in starts]
