"""What fine-tuning works on, and the rig that trains it: a model, its steps, its pictures."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import FineTuneConfig
from retrain.data.stream import evenly, pixel_batches
from retrain.model.build import add_head, copy_under, free_last_groups, layer_groups, shift_bias
from retrain.model.cut import cut_layer, split_at
from retrain.model.devices import dtype_policy_name, training_strategy
from retrain.model.folded import copy_weights, fold_batch_norm
from retrain.model.predict import BATCH, Forward
from retrain.progress import Reporter
from retrain.training.cut_views import CutViews
from retrain.training.fit import Validation
from retrain.training.head import Head
from retrain.training.labelled import Labelled
from retrain.training.learner import Learner
from retrain.training.lr_finder import Sweep, sweep
from retrain.training.optim import make_optimizer, make_step
from retrain.training.pipeline import RandomViews, Sampler, Visits
from retrain.training.store import Store, Stores
from retrain.training.task import Task

SHOWN = 512  # pictures at most by which a round is shown; nothing is chosen by them


@dataclass(frozen=True)
class Rig:
    """What trains a model.

    whole: the model; it learns what the learner has learned with `trained`.
    learner: the layers that train, BatchNorm folded into them.
    sampler: feeds the learner.
    validation: shows how good it has become; None where no picture is left for that.
    """

    whole: keras.Model
    learner: Learner
    sampler: Sampler
    validation: Validation | None

    def trained(self) -> keras.Model:
        """Return the whole model with what was learned."""
        copy_weights(self.learner.model, self.whole)
        return self.whole


@dataclass(frozen=True)
class Tuning:
    """What fine-tuning works on.

    task: what is to be learned.
    start: the backbone with a head that has not seen the jury, float32; it is not changed.
    weights: how much a picture counts, by its category, float [k]; None if all count the same.
    shift: what weights and variations of pictures add to logits, float32 [k].
    learned_from: pictures that it learns from, variations included.
    judged_by: pictures that tell how good it is; none of them is learned from.
    """

    task: Task
    start: keras.Model
    weights: NDArray[np.float64] | None
    shift: NDArray[np.float32] | float
    learned_from: Labelled
    judged_by: Labelled

    @classmethod
    def of(
        cls, task: Task, head: Head, weights: NDArray[np.float64] | None, fold: int | None
    ) -> "Tuning":
        """Put together what fine-tunes from a head.

        Args:
            task: what is to be learned.
            head: of all pictures, with those of the folds.
            weights: as above.
            fold: that judges and is not learned from; None for all pictures to be learned from,
                and judged by the validation side that the user made, if there is one.
        """
        train, shift = task.parts["train"], head.examples.shift
        if fold is None:
            start = add_head(task.network, head.kernel, head.bias)
            every = train.with_varied(task.varied)
            return cls(task, start, weights, shift, every, task.parts["validation"])
        fair = head.crossed.heads[fold]
        start = add_head(task.network, fair.kernel, fair.bias)
        jury = task.folds.of_picture == fold
        others, own = np.flatnonzero(~jury), np.flatnonzero(jury)
        taught = train.some(others).with_varied(task.varied and task.varied.among(others))
        return cls(task, start, weights, shift, taught, train.some(own))

    @property
    def recipe(self) -> FineTuneConfig:
        """The settings of fine-tuning."""
        return self.task.config.fine_tune

    def group_count(self) -> int:
        """Return how many layer groups the network has."""
        return len(layer_groups(self.start, self.task.backbone))

    def visits(self, batch: int, sources: Store) -> Visits:
        """Return who is shown when, in batches of this size."""
        train, config = self.learned_from, self.task.config
        return Visits(
            pictures=train.pictures,
            labels=train.labels,
            categories=len(self.task.categories),
            rules=self.task.rules,
            batch=batch,
            augment=config.augment,
            seed=config.seed,
            sources=sources,
        )

    def rig(
        self,
        groups: int,
        views: int,
        batch: int,
        rates: tuple[float, float],
        stores: Stores,
    ) -> Rig:
        """Build what trains a copy of the model under the configured precision, and under weights.

        Args:
            groups: the number of layer groups that train, counted from the end.
            views: of each picture, whose activations below these groups are kept; 0 to show each
                visit a view of its own, and to run all layers.
            batch: the number of pictures in a step.
            rates: peak learning rates of the first layer group and of the head.
            stores: keep what is made once.
        """
        # Layers that draw random numbers begin alike, whichever rigs were built before this one.
        keras.utils.set_random_seed(self.task.config.seed)
        with training_strategy().scope():
            return self._rig(groups, views, batch, rates, stores)

    def _rig(
        self,
        groups: int,
        views: int,
        batch: int,
        rates: tuple[float, float],
        stores: Stores,
    ) -> Rig:
        task = self.task
        whole = self._copy(groups)
        model, cut = fold_batch_norm(whole), cut_layer(whole, task.backbone, groups)
        visits = self.visits(batch, stores.sources)
        some = evenly(range(len(self.judged_by.labels)), SHOWN)
        paths = [self.judged_by.pictures[i].path for i in some]
        sampler: Sampler
        if views and cut:
            lower, model = split_at(model, cut)
            below = Forward(lower, constant=True)
            sampler = CutViews(visits, views, below, stores.activations(groups))
        else:
            below, sampler = None, RandomViews(visits)
        optimizer = make_optimizer(self.recipe, rates, whole, task.backbone, groups)
        step = make_step(model, optimizer, self.recipe.smoothing, self.weights)
        forward, shift = Forward(model), self.shift
        kept: list[NDArray[np.float16]] = []

        def shown() -> Iterator[NDArray[Any]]:
            """Yield what the learner takes; activations are made once."""
            if below is None:
                yield from pixel_batches(paths, task.rules, BATCH)
                return
            if not kept:
                batches = pixel_batches(paths, task.rules, BATCH)
                kept.extend(below(pixels).astype(np.float16) for pixels in batches)
            yield from (activations.astype(np.float32) for activations in kept)

        def predict() -> NDArray[np.float32]:
            logits = np.concatenate([forward(inputs) for inputs in shown()])
            return np.asarray(logits - shift, np.float32)

        return Rig(
            whole,
            Learner(model, optimizer, step, max(rates)),
            sampler,
            Validation(predict, self.judged_by.labels[some]) if len(some) else None,
        )

    def _copy(self, groups: int) -> keras.Model:
        """Return a copy of `start` to train."""
        task = self.task
        policy = dtype_policy_name(task.config.precision)
        model = copy_under(policy, self.start, task.backbone, task.rules.size)
        shift_bias(model, self.shift)
        free_last_groups(model, task.backbone, groups)
        return model

    def sweep(self, rig: Rig, report: Reporter) -> Sweep:
        """Sweep the head's learning rate, the other groups in proportion.

        Args:
            rig: whose learner is afterwards as it was before.
            report: shows the progress.
        """
        batches = rig.sampler.batches(0)
        try:
            return sweep(rig.learner, batches, report)
        finally:
            batches.close()
