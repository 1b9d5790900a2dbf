"""The sampler of fine-tuning: which pictures a step is shown, in which order, as which views."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain.config import AugmentConfig
from retrain.data.images import PixelRules, Pixels
from retrain.data.records import Picture
from retrain.data.stream import pixel_batches
from retrain.training.augment import mixed, random_view, strength

Batches = Iterator[tuple[Pixels, NDArray[np.float32]]]


class Sampler(Protocol):
    """Gives a fit its training batches; several machines would each have one of their own."""

    @property
    def steps(self) -> int:
        """The number of batches in an epoch."""

    def batches(self, epoch: int) -> Batches:
        """Yield the batches of an epoch (from 1), as (uint8 [b, size, size, 3], float32 [b, k])."""


@dataclass(frozen=True)
class RandomViews:
    """A Sampler that shows each picture once an epoch, in random order, as a random view.

    Order and views depend on (seed, epoch, picture) alone, never on what was drawn before.

    pictures: the n pictures of an epoch.
    labels: int [n], the index of each picture's category.
    categories: k, the number of categories.
    rules: how pictures become pixels.
    batch: the number of pictures in a batch; the last batch may be smaller.
    augment: how much the views vary.
    seed: the seed of the training.
    """

    pictures: Sequence[Picture]
    labels: NDArray[np.integer]
    categories: int
    rules: PixelRules
    batch: int
    augment: AugmentConfig
    seed: int

    @property
    def steps(self) -> int:
        """The number of batches in an epoch."""
        return math.ceil(len(self.pictures) / self.batch)

    def batches(self, epoch: int) -> Batches:
        """Yield the batches of an epoch (from 1), as (uint8 [b, size, size, 3], float32 [b, k])."""
        how = strength(self.augment)
        rng = np.random.default_rng((self.seed, epoch))
        order = rng.permutation(len(self.pictures))

        def view(index: int, content: bytes) -> Pixels:
            sha256 = self.pictures[order[index]].sha256
            return random_view(content, self.rules, how, self.seed, epoch, sha256)

        targets = np.eye(self.categories, dtype=np.float32)
        paths = [self.pictures[i].path for i in order]
        done = 0
        for pixels in pixel_batches(paths, self.rules, self.batch, view):
            wanted = targets[self.labels[order[done : done + len(pixels)]]]
            done += len(pixels)
            if rng.random() < how.mix:
                pixels, wanted = mixed(pixels, wanted, rng)
            yield pixels, wanted
