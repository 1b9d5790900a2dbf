"""Random views of training pictures, the same for the same seed, epoch and picture."""

import math

import numpy as np

from retrain.config import FineTuneConfig
from retrain.data.images import View

RATIOS = (3 / 4, 4 / 3)  # of a crop against the picture's own shape (Szegedy et al. 2015)


def random_view(seed: int, epoch: int, sha256: str, config: FineTuneConfig) -> View:
    """Return a random resized crop, perhaps mirrored.

    Stateless: the numbers come from (seed, epoch, picture) alone, so an interrupted training
    sees what an uninterrupted one would have seen.
    """
    rng = np.random.default_rng((seed, epoch, int(sha256[:16], 16)))
    area = rng.uniform(config.crop_area, 1.0)
    stretch = math.sqrt(math.exp(rng.uniform(math.log(RATIOS[0]), math.log(RATIOS[1]))))
    side = math.sqrt(area)
    width, height = min(1.0, side * stretch), min(1.0, side / stretch)
    left, upper = rng.uniform(0.0, 1.0 - width), rng.uniform(0.0, 1.0 - height)
    flip = bool(config.flip and rng.random() < 0.5)
    return View((left, upper, left + width, upper + height), flip)
