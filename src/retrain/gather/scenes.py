"""Which frames of a film become pictures, and where its scenes begin. Pure: arrays, no files.

Thumbnails of 32 x 18 pixels tell a cut: from one to the next, a fifth of a second later, the mean
difference of their values leaps. A slow cross-fade does not leap, and joins two scenes to one.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain.gather.films import Frame, Pixels

RATE = 5.0  # frames a second that are looked at; scenes are the same whichever frames are wanted
THUMBNAIL = (32, 18)
CUT = 24.0  # of 255: mean difference of two thumbnails in a row, above which a scene begins
ALIKE = 3.0  # of 255: mean difference below which two pictures are one
REMEMBERED = 16  # pictures that a new one is compared with
BLACK, BLACK_SHARE = 32, 0.98  # values below, and the share of such pixels, of a black frame
SHARP_WIDTH = 480  # pixels of a side at which sharpness is measured

Thumbnail = NDArray[np.float32]


@dataclass(frozen=True)
class Chosen:
    """A frame that becomes a picture. scene: its number, from 1."""

    frame: Frame
    scene: int


def thumbnail(pixels: Pixels) -> Thumbnail:
    """Return a picture's thumbnail, float32 [18, 32, 3], 0..255."""
    small = Image.fromarray(pixels).resize(THUMBNAIL, Image.Resampling.BOX)
    return np.asarray(small, np.float32)


def difference(first: Thumbnail, second: Thumbnail) -> float:
    """Return the mean difference of two thumbnails, 0..255."""
    return float(np.abs(first - second).mean())


def is_black(small: Thumbnail) -> bool:
    """Tell whether a thumbnail shows nothing but black."""
    return bool((small.max(axis=2) < BLACK).mean() >= BLACK_SHARE)


def sharpness(pixels: Pixels) -> float:
    """Return the variance of the Laplacian of a picture's grey values; blur lowers it."""
    image = Image.fromarray(pixels).convert("L")
    image.thumbnail((SHARP_WIDTH, SHARP_WIDTH))
    grey = np.asarray(image, np.float32)
    if min(grey.shape) < 3:
        return 0.0
    middle = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * middle).var())


class Selection:
    """Chooses among the frames of one film, as they come.

    scenes: how many began. black, alike: how many wanted frames were left out for that.
    """

    def __init__(self, every: float | None) -> None:
        """Begin a film.

        Args:
            every: seconds between frames; None for the sharpest of each scene.
        """
        self._every, self._due = every, 0.0
        self.scenes = self.black = self.alike = 0
        self._last: Thumbnail | None = None
        self._best: tuple[float, Frame, Thumbnail] | None = None
        self._recent: deque[Thumbnail] = deque(maxlen=REMEMBERED)

    def feed(self, frame: Frame) -> Iterator[Chosen]:
        """Look at the next frame; yield what can be chosen now."""
        small = thumbnail(frame.pixels)
        if self._last is None or difference(self._last, small) > CUT:
            yield from self.finish()
            self.scenes += 1
        self._last = small
        if self._every is None:
            if not is_black(small):
                sharp = sharpness(frame.pixels)
                if self._best is None or sharp > self._best[0]:
                    self._best = sharp, frame, small
        elif frame.time + 0.5 / RATE > self._due:
            self._due += self._every
            yield from self._choose(frame, small)

    def finish(self) -> Iterator[Chosen]:
        """Yield what is left of the scene that ends."""
        if self._best is not None:
            _, frame, small = self._best
            self._best = None
            yield from self._choose(frame, small)

    def _choose(self, frame: Frame, small: Thumbnail) -> Iterator[Chosen]:
        if is_black(small):
            self.black += 1
        elif any(difference(small, other) < ALIKE for other in self._recent):
            self.alike += 1
        else:
            self._recent.append(small)
            yield Chosen(frame, self.scenes)
