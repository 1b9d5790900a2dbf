"""Training pictures, shuffled and augmented, epoch by epoch."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from retrain.config import FineTuneConfig
from retrain.data.images import PixelRules, Pixels
from retrain.data.records import Picture
from retrain.data.stream import pixel_batches
from retrain.train.augment import random_view


def training_batches(
    pictures: Sequence[Picture],
    labels: NDArray[np.integer],
    rules: PixelRules,
    config: FineTuneConfig,
    seed: int,
    epoch: int,
) -> Iterator[tuple[Pixels, NDArray[np.integer]]]:
    """Yield each picture once, as (uint8 [b, size, size, 3], int [b]).

    Order and views depend on (seed, epoch) alone.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(pictures))
    views = [random_view(seed, epoch, pictures[i].sha256, config) for i in order]
    paths = [pictures[i].path for i in order]
    done = 0
    for pixels in pixel_batches(paths, rules, config.batch, views):
        yield pixels, labels[order[done : done + len(pixels)]]
        done += len(pixels)
