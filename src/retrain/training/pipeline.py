"""The sampler of fine-tuning: which pictures a step is shown, in which order, as which views.

A *visit* is a picture shown once. Visits form one endless row, cut into batches of equal size, so
that no step ever learns from a rest of one picture. A *pass* is as many visits as there are
pictures, each once.
"""

import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain.config import AugmentConfig
from retrain.data.images import PixelRules, Pixels, decode
from retrain.data.records import Picture
from retrain.data.stream import ordered, read_unchanged
from retrain.training.augment import Strength, mixed, random_view, source_of_views, strength
from retrain.training.store import Store

Batches = Generator[tuple[NDArray[Any], NDArray[np.float32]], None, None]
MIXING = 1 << 40  # sets the random numbers of blending apart from those of the order


class Sampler(Protocol):
    """Gives a fit its training batches, or this worker's shares of them."""

    def batches(self, start: int) -> Batches:
        """Yield the batches from a step (from 0) on, without end: inputs [b, ...], targets [b, k].

        What a step gets depends on its number alone, never on where the iteration began.
        """


@dataclass(frozen=True, eq=False)  # told apart by identity, for the cache of orders
class Visits:
    """Who is shown when, and how; follows from (seed, number of the visit) alone.

    pictures: n pictures.
    labels: int [n], the index of each picture's category.
    categories: k, the number of categories.
    rules: how pictures become pixels.
    batch: the number of pictures in a batch.
    augment: how much the views vary.
    seed: the seed of the training.
    sources: keeps large pictures as views are made of them, so that each is decoded once.
    worker, workers: of how many that share each batch this is which, from 0.
    """

    pictures: Sequence[Picture]
    labels: NDArray[np.integer]
    categories: int
    rules: PixelRules
    batch: int
    augment: AugmentConfig
    seed: int
    sources: Store
    worker: int = 0
    workers: int = 1

    def who(self, visit: int) -> tuple[int, int]:
        """Return the index of a visit's picture, and the number of its pass, both from 0."""
        number, place = divmod(visit, len(self.pictures))
        return int(self._order(number)[place]), number

    @lru_cache(maxsize=4)  # noqa: B019  (lives as long as the training)
    def _order(self, number: int) -> NDArray[np.intp]:
        return spread_order(self.labels, np.random.default_rng((self.seed, number + 1)))

    def own(self, step: int) -> list[int]:
        """Return the rows of a step's batch that are this worker's share, of even size.

        As far as that goes, a picture is always the same worker's, who keeps what it made of it.
        """
        if self.workers == 1:
            return list(range(self.batch))
        shares: list[list[int]] = [[] for _ in range(self.workers)]
        room = [len(range(i, self.batch, self.workers)) for i in range(self.workers)]
        left: list[int] = []
        for row in range(self.batch):
            owner = self.who(step * self.batch + row)[0] % self.workers
            (shares[owner] if len(shares[owner]) < room[owner] else left).append(row)
        for share, most in zip(shares, room, strict=True):
            while len(share) < most:
                share.append(left.pop(0))
        return sorted(shares[self.worker])

    def made(self, step: int) -> list[int]:
        """Return the rows of a step's batch that this worker makes: all, where they are blended."""
        blended = self.workers > 1 and self.blending(step) is not None
        return list(range(self.batch)) if blended else self.own(step)

    def shown(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield who is shown in the visits that this worker makes, from a step (from 0) on."""
        for step in itertools.count(start):
            for row in self.made(step):
                yield self.who(step * self.batch + row)

    def view(self, index: int, number: int) -> Pixels:
        """Return the random view of a picture that belongs to a pass, uint8 [size, size, 3].

        Raises:
            DataError: the picture was readable before and no longer is.
        """
        sha256 = self.pictures[index].sha256
        image = self._source(index)
        return random_view(image, self.rules, self.strength, self.seed, number + 1, sha256)

    def _source(self, index: int) -> Image.Image:
        """Return what views of a picture are made of."""
        path, sha256 = self.pictures[index].path, self.pictures[index].sha256
        if sha256 in self.sources:
            return Image.fromarray(self.sources.read(sha256))
        size = self.rules.size
        decoded = read_unchanged(path, lambda content: decode(content, 2 * size))
        source = source_of_views(decoded, self.rules, self.strength)
        if source is not decoded:  # which took its time
            self.sources.keep(sha256, np.asarray(source))
        return source

    def targets(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return what is wanted for pictures, float32 [b, k]."""
        wanted = np.zeros((len(indices), self.categories), np.float32)
        wanted[np.arange(len(indices)), self.labels[list(indices)]] = 1
        return wanted

    @property
    def strength(self) -> Strength:
        """How far each kind of variation goes."""
        return strength(self.augment)

    def blending(self, step: int) -> np.random.Generator | None:
        """Return what decides how a step's batch is blended; None where it is not."""
        rng = np.random.default_rng((self.seed, MIXING + step))
        return rng if rng.random() < self.strength.mix else None


def spread_order(labels: NDArray[np.integer], rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a random order in which each category is spread evenly.

    So a part of a pass, which may be all that there is time for, has every category in proportion.

    Args:
        labels: int [n].
        rng: decides who comes when within a category, and which category begins.
    """
    places = np.empty(len(labels))
    for label in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == label))
        places[own] = (np.arange(len(own)) + rng.random()) / len(own)
    return np.argsort(places, kind="stable")


@dataclass(frozen=True)
class RandomViews:
    """A Sampler that shows each visit's view; `visits` says whose it is."""

    visits: Visits

    def batches(self, start: int) -> Batches:
        """Yield uint8 [b, size, size, 3] and float32 [b, k], from a step (from 0) on."""
        visits = self.visits
        shown, decoded = itertools.tee(visits.shown(start))
        views = ordered(lambda visit: visits.view(*visit), decoded, ahead=2 * visits.batch)
        for step in itertools.count(start):
            size = len(visits.made(step))
            pixels = np.stack(list(itertools.islice(views, size)))
            wanted = visits.targets([index for index, _ in itertools.islice(shown, size)])
            if (rng := visits.blending(step)) is not None:
                pixels, wanted = mixed(pixels, wanted, rng)
                pixels, wanted = pixels[visits.own(step)], wanted[visits.own(step)]
            yield pixels, wanted
