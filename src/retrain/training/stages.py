"""The two stages of a training, each written as its recipe: the head, then fine-tuning.

A linear probe first, and fine-tuning from its solution, keeps more of the pretrained features than
training both at once (Kumar et al. 2022, https://arxiv.org/abs/2202.10054).
"""

import itertools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras.optimizers.schedules import LearningRateSchedule
from numpy.typing import NDArray

from retrain.config import FineTuneConfig, TrainConfig
from retrain.data.images import PixelRules
from retrain.data.records import Side
from retrain.model.backbones import Backbone
from retrain.model.build import add_head, copy_under, free_last_groups, shift_bias
from retrain.model.devices import dtype_policy_name
from retrain.model.predict import Forward, predict_logits
from retrain.progress import Reporter, counted, duration
from retrain.training.balance import prior_shift
from retrain.training.checkpoints import Checkpoints, Plan
from retrain.training.fit import Course, Fitted, Learner, Log, Validation, fit
from retrain.training.folds import Folds
from retrain.training.head import Head
from retrain.training.labelled import Labelled
from retrain.training.lr_finder import STEPS as SWEEP_STEPS
from retrain.training.lr_finder import Sweep, rising_rate, sweep
from retrain.training.optim import make_optimizer, make_step
from retrain.training.pipeline import RandomViews

SWEEP_SHARE = 0.1  # of the time left that a sweep for the learning rate may cost
CERTAIN = 0.8  # of the time left that epochs are planned for: a cycle cut short is worth little
TRAINING_COST = 3.0  # a training step against a forward pass; backward costs about twice forward


@dataclass(frozen=True)
class Task:
    """What is to be learned, from what, and how.

    network: the frozen backbone, from uint8 pixels to features.
    backbone: the backbone's row of the table.
    rules: how pictures become pixels.
    parts: pictures, features and labels of each side.
    groups: what each training picture belongs to.
    folds: which training pictures judge together.
    categories: their names, in the order of the model's outputs.
    config: the recipe, and the seed.
    """

    network: keras.Model
    backbone: Backbone
    rules: PixelRules
    parts: Mapping[Side, Labelled]
    groups: Sequence[str]
    folds: Folds
    categories: tuple[str, ...]
    config: TrainConfig

    def judging_labels(self) -> NDArray[np.integer]:
        """Return the true categories of the pictures that choose the epoch, int [n]."""
        jury = self.jury()
        return self.parts["train"].labels[jury] if len(jury) else self.parts["validation"].labels

    def jury(self) -> NDArray[np.intp]:
        """Return the rows of training pictures that judge fine-tuning: those of one fold.

        None do where the user has made a validation side, which judges instead.
        """
        numbers = self.folds.numbers()
        if len(self.parts["validation"].labels) or not numbers:
            return np.zeros(0, np.intp)
        return np.flatnonzero(self.folds.of_picture == numbers[0])


@dataclass(frozen=True)
class Budget:
    """What fine-tuning may cost.

    seconds_per_picture: the time that one forward pass takes per picture.
    deadline: when it must end, on the clock of `time.monotonic()`; `math.inf` for no limit.
    """

    seconds_per_picture: float
    deadline: float


@dataclass(frozen=True)
class Tuning:
    """What fine-tuning works on.

    task: what is to be learned.
    start: the backbone with its fitted head, float32; it is not changed.
    weights: how much a picture counts, by its category, float [k]; None if all count the same.
    learned_from: pictures that it learns from.
    judged_by: pictures that choose the epoch; none of them is learned from.
    """

    task: Task
    start: keras.Model
    weights: NDArray[np.float64] | None
    learned_from: Labelled
    judged_by: Labelled

    @classmethod
    def of(cls, task: Task, head: Head, weights: NDArray[np.float64] | None) -> "Tuning":
        """Put together what fine-tunes from a head: one fold judges, unless the user chose who."""
        train, jury = task.parts["train"], task.jury()
        start = add_head(task.network, head.kernel, head.bias)
        if len(jury) == 0:
            return cls(task, start, weights, train, task.parts["validation"])
        others = np.setdiff1d(np.arange(len(train.labels)), jury)
        return cls(task, start, weights, train.some(others), train.some(jury))

    @property
    def recipe(self) -> FineTuneConfig:
        """The settings of fine-tuning."""
        return self.task.config.fine_tune

    def copy(self) -> keras.Model:
        """Return a copy of `start` to train under the configured precision, and under weights."""
        task = self.task
        policy = dtype_policy_name(task.config.precision)
        model = copy_under(policy, self.start, task.backbone, task.rules.size)
        shift_bias(model, prior_shift(self.weights))
        free_last_groups(model, task.backbone, self.recipe.groups)
        return model

    def sampler(self) -> RandomViews:
        """Return the augmented training pictures."""
        train, config = self.learned_from, self.task.config
        return RandomViews(
            pictures=train.pictures,
            labels=train.labels,
            categories=len(self.task.categories),
            rules=self.task.rules,
            batch=self.recipe.batch,
            augment=config.augment,
            seed=config.seed,
        )

    def learner(
        self, model: keras.Model, plan: Plan, schedule: LearningRateSchedule | None = None
    ) -> Learner:
        """Return a `copy` with the optimizer and the step that train it.

        Args:
            model: to train.
            plan: its epochs and peak learning rates.
            schedule: of the learning rate; None for one cycle over the whole plan.
        """
        steps = self.sampler().steps * plan.epochs
        optimizer = make_optimizer(
            self.recipe, plan.learning_rates, model, self.task.backbone, steps, schedule
        )
        step = make_step(model, optimizer, self.recipe.smoothing, self.weights)
        return Learner(model, optimizer, step)

    def sweep_cost(self, seconds_per_picture: float) -> float:
        """Return about how many seconds a sweep takes."""
        return seconds_per_picture * TRAINING_COST * SWEEP_STEPS * self.recipe.batch

    def sweep(self, model: keras.Model, report: Reporter) -> Sweep:
        """Sweep the head's learning rate, the other groups in proportion.

        Args:
            model: a `copy`; afterwards it is as before.
            report: shows the progress.
        """
        learner = self.learner(model, Plan(1, self.recipe.learning_rates), rising_rate())
        sampler = self.sampler()
        batches = (batch for epoch in itertools.count(1) for batch in sampler.batches(epoch))
        return sweep(learner.model, learner.optimizer, learner.step, batches, report)


def fine_tune(
    tuning: Tuning,
    head: Head,
    budget: Budget,
    checkpoints: Checkpoints,
    report: Reporter,
    *,
    log: Log,
) -> tuple[keras.Model, Fitted] | None:
    """Train the last layer groups on augmented pictures.

    Args:
        tuning: the model, the pictures and the recipe.
        head: the head of that model, which tells whether there is anything to gain.
        budget: the time that decides how many epochs fit.
        checkpoints: the state of an interrupted training, and where the state is kept.
        report: hears the estimate, and shows bars and rows.
        log: hears of each step and epoch.

    Returns:
        The tuned model and how the fit went; None if it was not worth starting, for a reason that
        `report` was told. The model is under the configured precision and has the weights of its
        best epoch; its logits are still shifted by the weights of categories.
    """
    recipe, valid = tuning.recipe, tuning.judged_by
    if not _is_worth_trying(head, len(valid.labels), recipe, report):
        return None
    before = checkpoints.progress()
    if before:
        plan = before.plan
        report.say(f"Fine-tuning: going on after epoch {before.epoch} of {plan.epochs}.")
        model = tuning.copy()
    else:
        count = len(tuning.learned_from.labels)
        epochs = _affordable_epochs(count, len(valid.labels), recipe, budget, report)
        if epochs == 0:
            return None
        model = tuning.copy()
        rates = recipe.learning_rates
        if recipe.find_rate:
            rates = _found_rates(tuning, model, budget, report)
        plan = Plan(epochs, rates)
    fitted = fit(
        tuning.learner(model, plan),
        tuning.sampler(),
        _validation(tuning, model),
        Course(plan, recipe.patience, budget.deadline),
        checkpoints,
        report,
        log=log,
    )
    if fitted.stopped:
        report.say(f"Fine-tuning stopped: {fitted.stopped}.")
    return model, fitted


def _validation(tuning: Tuning, model: keras.Model) -> Validation:
    """Return what judges a model's epochs: its logits without the shift of weighted categories."""
    valid, rules = tuning.judged_by, tuning.task.rules
    forward, shift = Forward(model), prior_shift(tuning.weights)
    paths = [picture.path for picture in valid.pictures]
    by_loss = tuning.recipe.best_by == "loss"
    return Validation(
        predict=lambda: predict_logits(forward, paths, rules) - shift,
        labels=valid.labels,
        score=lambda row: row.valid_loss if by_loss else -row.macro_f1,
    )


def _found_rates(
    tuning: Tuning, model: keras.Model, budget: Budget, report: Reporter
) -> tuple[float, float]:
    """Return the learning rates that a sweep suggests, or the configured ones; say why."""
    low, high = tuning.recipe.learning_rates
    cost = tuning.sweep_cost(budget.seconds_per_picture)
    if cost > SWEEP_SHARE * (budget.deadline - time.monotonic()):
        report.say(
            f"Learning rate: {high:g}, as configured. A sweep would take about {duration(cost)}, "
            f"which is more than {SWEEP_SHARE:.0%} of the time that is left."
        )
        return low, high
    report.say(f"Learning rate: a sweep chooses it and takes about {duration(cost)}.")
    suggestions = tuning.sweep(model, report).suggestions()
    if not suggestions:
        report.say(f"Learning rate: {high:g}, as configured. The loss did not fall in the sweep.")
        return low, high
    name, rate = next(iter(suggestions.items()))
    report.say(f"Learning rate: {rate:.1e} ({name}).")
    return rate * low / high, rate


def _is_worth_trying(head: Head, valid: int, config: FineTuneConfig, report: Reporter) -> bool:
    """Tell whether fine-tuning is wanted and pictures could show that it helps."""
    if config.when == "never":
        return False
    if valid == 0:
        report.say("Fine-tuning is left out: no picture could tell whether it helps.")
        return False
    chosen, pictures = head.chosen, head.calibration.pictures
    doubt = 1 / (pictures + 2)  # that calibration leaves even a faultless head
    faultless = chosen.error_rate == 0 and chosen.judged_loss - doubt < config.nothing_to_gain
    if config.when == "auto" and faultless:
        report.say(
            f"Fine-tuning is left out: the head makes no mistake on {counted(pictures, 'picture')} "
            f"that it had not seen (loss {chosen.judged_loss:.4f}), so none could show a gain."
        )
        return False
    return True


def _affordable_epochs(
    train: int, valid: int, config: FineTuneConfig, budget: Budget, report: Reporter
) -> int:
    """Return how many epochs fit into the budget; say what they cost and what was cut."""
    epoch = budget.seconds_per_picture * (TRAINING_COST * train + valid)
    left = CERTAIN * (budget.deadline - time.monotonic())
    epochs = config.epochs if math.isinf(left) else min(config.epochs, max(0, int(left / epoch)))
    if epochs == 0:
        report.say(
            f"Fine-tuning is left out: an epoch would take about {duration(epoch)}, and the time "
            "budget has less than that left."
        )
        return 0
    cut = f" (cut from {config.epochs} to fit the time budget)" if epochs < config.epochs else ""
    report.say(
        f"Fine-tuning: training the last {counted(config.groups, 'layer group')} for up to "
        f"{counted(epochs, 'epoch')}{cut}, about {duration(epoch * epochs)}."
    )
    return epochs
