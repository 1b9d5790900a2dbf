"""Training pictures, shuffled and augmented, epoch by epoch."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from retrain.config import AugmentConfig
from retrain.data.images import PixelRules, Pixels
from retrain.data.records import Picture
from retrain.data.stream import pixel_batches
from retrain.train.augment import mixed, random_view, strength


def training_batches(
    pictures: Sequence[Picture],
    labels: NDArray[np.integer],
    categories: int,
    rules: PixelRules,
    batch: int,
    config: AugmentConfig,
    seed: int,
    epoch: int,
) -> Iterator[tuple[Pixels, NDArray[np.float32]]]:
    """Yield each picture once, as (uint8 [b, size, size, 3], float32 [b, k]).

    Order and views depend on (seed, epoch) alone.

    Args:
        pictures: all of an epoch.
        labels: int [n].
        categories: k.
        rules: size and fit.
        batch: pictures in a batch; the last one may be smaller.
        config: how views vary.
        seed: of the training.
        epoch: from 1.
    """
    how = strength(config)
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(pictures))

    def view(index: int, content: bytes) -> Pixels:
        return random_view(content, rules, how, seed, epoch, pictures[order[index]].sha256)

    done = 0
    for pixels in pixel_batches([pictures[i].path for i in order], rules, batch, view):
        wanted = np.eye(categories, dtype=np.float32)[labels[order[done : done + len(pixels)]]]
        done += len(pixels)
        if rng.random() < how.mix:
            pixels, wanted = mixed(pixels, wanted, rng)
        yield pixels, wanted
