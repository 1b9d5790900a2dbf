"""Finds the uniform borders of pictures, such as a film's black bars. Pure: pixels, no files."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Border = tuple[int, ...]  # four: pixels at the left, upper, right and lower edge

UNIFORM = 10.0  # of 255: how far the values of a border's line may lie from those of its edge
SPARED = 0.02  # of a line's pixels that may lie farther: compression, a subtitle's edge
MOST = 0.4  # of a side that a border can take
MARGIN = 1  # pixels more that are cut, for a border's edge is never sharp


def border(pixels: Pixels) -> Border | None:
    """Return the uniform border of a picture; no pixels where the edge is not uniform.

    Args:
        pixels: uint8 [h, w, 3].

    Returns:
        None for a picture of one colour, which tells nothing.
    """
    if np.ptp(pixels.reshape(-1, 3).astype(np.int16), axis=0).max() <= UNIFORM:
        return None
    lines, columns = pixels.astype(np.int16), pixels.swapaxes(0, 1).astype(np.int16)
    left, right = _depth(columns), _depth(columns[::-1])
    upper, lower = _depth(lines), _depth(lines[::-1])
    return left, upper, right, lower


def _depth(lines: NDArray[np.int16]) -> int:
    """Return how many lines in a row, from the first on, have its colour throughout."""
    colour = np.median(lines[0], axis=0)
    far = np.abs(lines - colour).max(axis=2) > UNIFORM
    own = far.mean(axis=1) <= SPARED
    depth = len(lines) if own.all() else int(own.argmin())
    return 0 if depth > MOST * len(lines) else depth


def common(borders: Sequence[Border]) -> Border:
    """Return the border that pictures of one source have all.

    A dark scene looks as if its border were wider, so what counts is the narrowest, but for a few
    pictures that have none because of a title in the bars.
    """
    at = np.quantile(np.array(borders), 0.1, axis=0, method="lower")
    return tuple(int(value) for value in at)


def cropped(pixels: Pixels, cut: Border) -> Pixels | None:
    """Return a picture without its border; None where nothing is to be cut.

    Args:
        pixels: uint8 [h, w, 3].
        cut: pixels at each edge; a little more goes where there are any.
    """
    left, upper, right, lower = (side + MARGIN if side else 0 for side in cut)
    inside = pixels[upper : len(pixels) - lower, left : pixels.shape[1] - right]
    if not any(cut) or min(inside.shape[:2]) < 1:
        return None
    return np.ascontiguousarray(inside)
