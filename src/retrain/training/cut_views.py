"""The sampler above frozen layers: each view goes through them once, and what comes out is kept.

The layers that train are the last ones, so hundreds of visits can share a few views of a picture.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.data.stream import ordered
from retrain.training.augment import MIXUP_ALPHA
from retrain.training.pipeline import Batches, Visits
from retrain.training.store import Store


@dataclass(frozen=True)
class CutViews:
    """A Sampler of activations below the layers that train.

    visits: who is shown when.
    views: the number of different views of each picture; visits take them in turn.
    lower: the frozen layers, from uint8 [b, size, size, 3] to float [b, ...].
    store: keeps activations for later visits, by (content, number of the view).
    """

    visits: Visits
    views: int
    lower: Callable[[Pixels], NDArray[np.floating]]
    store: Store

    def batches(self, start: int) -> Batches:
        """Yield float32 [b, ...] and float32 [b, k], from a step (from 0) on."""
        visits = self.visits
        for step, (shown, pixels) in enumerate(self._batches_of_pixels(start), start):
            fresh = [view for view in shown if view in pixels]
            made = {}
            if fresh:
                below = self.lower(np.stack([pixels[view] for view in fresh])).astype(np.float16)
                made = dict(zip(fresh, below, strict=True))
            rows = []
            for view in shown:
                if view in made:
                    self.store.keep(self._key(view), made[view])
                rows.append(made[view] if view in made else self.store.read(self._key(view)))
            # Rounded as they are kept, so that a view is the same whether kept or made again.
            inputs, targets = (
                np.stack(rows).astype(np.float32),
                visits.targets([index for index, _ in shown]),
            )
            if (rng := visits.blending(step)) is not None:
                inputs, targets = blended(inputs, targets, rng)
                inputs, targets = inputs[visits.own(step)], targets[visits.own(step)]
            yield inputs, targets

    def _key(self, view: tuple[int, int]) -> tuple[str, int]:
        """Return what a view, of the picture of an index, is kept by."""
        index, number = view
        return self.visits.pictures[index].sha256, number

    def _batches_of_pixels(
        self, start: int
    ) -> Iterator[tuple[list[tuple[int, int]], dict[tuple[int, int], Pixels]]]:
        """Yield what each batch shows, with the pixels of views that must still be computed."""
        visits = self.visits

        def view_of(visit: tuple[int, int]) -> tuple[int, int]:
            index, number = visit
            return index, number % self.views

        def look(view: tuple[int, int]) -> tuple[tuple[int, int], Pixels | None]:
            return view, None if self._key(view) in self.store else visits.view(*view)

        looked = ordered(look, map(view_of, visits.shown(start)), ahead=2 * visits.batch)
        for step in itertools.count(start):
            batch = list(itertools.islice(looked, len(visits.made(step))))
            yield [view for view, _ in batch], {view: p for view, p in batch if p is not None}


def blended(
    inputs: NDArray[np.float32], targets: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Blend each picture of a batch with its neighbour, above frozen layers.

    Manifold MixUp (Verma et al. 2019, https://arxiv.org/abs/1806.05236).
    """
    weight = np.float32(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA))
    mixed = inputs * weight + np.roll(inputs, 1, axis=0) * (1 - weight)
    wanted = weight * targets + (1 - weight) * np.roll(targets, 1, axis=0)
    return mixed, wanted.astype(np.float32)
