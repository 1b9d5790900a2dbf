"""The two stages of a training, each written as its recipe: the head, then fine-tuning.

Linear probe first, then tuning from its solution, keeps more of the pretrained features than
training both at once (Kumar et al. 2022, https://arxiv.org/abs/2202.10054).
"""

import itertools
import math
import time
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import FineTuneConfig, HeadConfig, TrainConfig
from retrain.data.images import PixelRules
from retrain.model.backbones import Backbone
from retrain.model.build import copy_under, free_last_groups, shift_bias
from retrain.model.devices import dtype_policy_name
from retrain.model.predict import Forward, predict_logits
from retrain.progress import Reporter, counted, duration
from retrain.train.balance import prior_shift
from retrain.train.checkpoints import Checkpoints, EpochRow, Plan
from retrain.train.fit import Batches, Course, Fitted, Log, fit
from retrain.train.head import Head, best_head, fit_head
from retrain.train.labelled import Labelled
from retrain.train.lr_finder import STEPS as SWEEP_STEPS
from retrain.train.lr_finder import Sweep, rising_rate, sweep
from retrain.train.optim import make_optimizer, make_step
from retrain.train.pipeline import training_batches

# Per picture, feature and category, for all penalties; measured on two cores.
SECONDS_PER_HEAD_WORK = 6e-7
SWEEP_SHARE = 0.1  # of the time left that a sweep for the learning rate may cost
CERTAIN = 0.8  # of the time left that epochs are planned for: a cycle cut short is worth little
TRAINING_COST = 3.0  # a training step against a forward pass; backward costs about twice forward


@dataclass(frozen=True)
class Budget:
    """What fine-tuning may cost.

    seconds_per_picture: of one forward pass. deadline: on `time.monotonic()`, `math.inf` for none.
    """

    seconds_per_picture: float
    deadline: float


def train_head(
    train: Labelled,
    valid: Labelled,
    categories: int,
    config: HeadConfig,
    weights: NDArray[np.float64] | None,
    report: Reporter,
) -> tuple[Head, tuple[EpochRow, ...]]:
    """Fit the head on cached features; return the best and a row for each that was tried.

    Args:
        train: pictures to learn from.
        valid: pictures that judge, if there are enough.
        categories: how many there are.
        config: the recipe.
        weights: of a picture by its category, float [k]; None for all the same.
        report: hears the estimate and shows a row a penalty.
    """
    work = len(train.labels) * train.features.shape[1] * categories
    if len(valid.labels) < config.enough_to_judge:
        work *= config.folds
    report.say(
        f"Head: logistic regression on {counted(len(train.labels), 'picture')}, "
        f"about {duration(work * SECONDS_PER_HEAD_WORK)}."
    )
    heads = fit_head(
        (train.features, train.labels),
        (valid.features, valid.labels),
        [picture.key for picture in train.pictures],
        categories,
        config,
        weights,
        report,
    )
    rows = (
        EpochRow(
            "head",
            number,
            head.penalty,
            head.train_loss,
            head.valid_loss,
            head.error_rate,
            head.macro_f1,
            None,
            head.seconds,
        )
        for number, head in enumerate(heads, start=1)
    )
    return best_head(heads), tuple(rows)


@dataclass(frozen=True)
class Tuning:
    """What fine-tuning works on.

    start: backbone with its fitted head, float32; it is not changed. backbone: its row of the
    table. train: pictures to learn from. rules: size and fit. config: the recipe, and the seed that
    decides order and views. weights: of a picture by its category, float [k]; None for all the
    same.
    """

    start: keras.Model
    backbone: Backbone
    train: Labelled
    rules: PixelRules
    config: TrainConfig
    weights: NDArray[np.float64] | None

    def copy(self) -> keras.Model:
        """Return a copy of `start` to train under the configured precision, and under weights."""
        policy = dtype_policy_name(self.config.precision)
        model = copy_under(policy, self.start, self.backbone, self.rules.size)
        shift_bias(model, prior_shift(self.weights))
        free_last_groups(model, self.backbone, self.config.fine_tune.groups)
        return model

    def batches(self, epoch: int) -> Batches:
        """Yield the augmented training batches of an epoch (from 1)."""
        return training_batches(
            self.train.pictures,
            self.train.labels,
            self.start.output_shape[-1],
            self.rules,
            self.config.fine_tune.batch,
            self.config.augment,
            self.config.seed,
            epoch,
        )

    def sweep_cost(self, seconds_per_picture: float) -> float:
        """Return about how many seconds a sweep takes."""
        return seconds_per_picture * TRAINING_COST * SWEEP_STEPS * self.config.fine_tune.batch

    def sweep(self, model: keras.Model, report: Reporter) -> Sweep:
        """Sweep the head's learning rate, the other groups in proportion.

        Args:
            model: a `copy`; afterwards it is as before.
            report: shows the progress.
        """
        recipe = self.config.fine_tune
        optimizer = make_optimizer(
            recipe, recipe.learning_rates, model, self.backbone, 1, rising_rate()
        )
        step = make_step(model, optimizer, recipe.smoothing, self.weights)
        batches = (batch for epoch in itertools.count(1) for batch in self.batches(epoch))
        return sweep(model, optimizer, step, batches, report)


def fine_tune(
    tuning: Tuning,
    valid: Labelled,
    head: Head,
    budget: Budget,
    checkpoints: Checkpoints,
    log: Log,
    report: Reporter,
) -> tuple[keras.Model, Fitted] | None:
    """Train the last layer groups on augmented pictures.

    Args:
        tuning: model, pictures and recipe.
        valid: pictures that choose the epoch.
        head: of the model; tells whether there is something to gain.
        budget: how many epochs fit.
        checkpoints: where an interrupted training stands.
        log: hears of each step and epoch.
        report: hears the estimate, shows bars and rows.

    Returns:
        The tuned model, under the configured precision, with the weights of its best epoch (still
        shifted by the weights of categories), and how it went; None if it was not worth starting,
        for a reason that `report` was told.
    """
    recipe, count = tuning.config.fine_tune, len(tuning.train.labels)
    if not _is_worth_trying(head, len(valid.labels), recipe, report):
        return None
    before = checkpoints.progress()
    if before:
        report.say(f"Fine-tuning: going on after epoch {before.epoch} of {before.plan.epochs}.")
    epochs = (
        before.plan.epochs
        if before
        else _affordable_epochs(count, len(valid.labels), recipe, budget, report)
    )
    if epochs == 0:
        return None
    model = tuning.copy()
    if before:
        plan = before.plan
    elif recipe.find_rate:
        plan = Plan(epochs, _found_rates(tuning, model, budget, report))
    else:
        plan = Plan(epochs, recipe.learning_rates)
    steps = math.ceil(count / recipe.batch)
    optimizer = make_optimizer(recipe, plan.learning_rates, model, tuning.backbone, steps * epochs)
    forward, shift = Forward(model), prior_shift(tuning.weights)
    fitted = fit(
        model,
        optimizer,
        make_step(model, optimizer, recipe.smoothing, tuning.weights),
        tuning.batches,
        steps,
        lambda: predict_logits(forward, [p.path for p in valid.pictures], tuning.rules) - shift,
        valid.labels,
        lambda row: row.valid_loss if recipe.best_by == "loss" else -row.macro_f1,
        Course(plan, recipe.patience, budget.deadline),
        checkpoints,
        log,
        report,
    )
    if fitted.stopped:
        report.say(f"Fine-tuning stopped: {fitted.stopped}.")
    return model, fitted


def _found_rates(
    tuning: Tuning, model: keras.Model, budget: Budget, report: Reporter
) -> tuple[float, float]:
    """Return the learning rates that a sweep suggests, or the configured ones, saying why."""
    low, high = tuning.config.fine_tune.learning_rates
    cost = tuning.sweep_cost(budget.seconds_per_picture)
    if cost > SWEEP_SHARE * (budget.deadline - time.monotonic()):
        report.say(
            f"Learning rate: {high:g} as it is; a sweep would take about {duration(cost)}, more "
            f"than {SWEEP_SHARE:.0%} of the time left (--minutes)."
        )
        return low, high
    report.say(f"Learning rate: a sweep, about {duration(cost)}.")
    suggestions = tuning.sweep(model, report).suggestions()
    if not suggestions:
        report.say(f"Learning rate: {high:g} as it is; the loss did not fall in the sweep.")
        return low, high
    name, rate = next(iter(suggestions.items()))
    report.say(f"Learning rate: {rate:.1e} ({name}).")
    return rate * low / high, rate


def _is_worth_trying(head: Head, valid: int, config: FineTuneConfig, report: Reporter) -> bool:
    """Tell whether fine-tuning is wanted and validation data could show that it helps."""
    if config.when == "never":
        return False
    if valid == 0:
        report.say("Fine-tuning left out: no validation picture could tell whether it helps.")
        return False
    doubt = 1 / (head.calibration.pictures + 2)  # that calibration leaves even a faultless head
    faultless = head.error_rate == 0 and head.valid_loss - doubt < config.nothing_to_gain
    if config.when == "auto" and faultless:
        report.say(
            f"Fine-tuning left out: the head makes no mistake on {counted(valid, 'picture')} for "
            f"validation (loss {head.valid_loss:.4f}), so none could show a gain."
        )
        return False
    return True


def _affordable_epochs(
    train: int, valid: int, config: FineTuneConfig, budget: Budget, report: Reporter
) -> int:
    """Return how many epochs fit into the budget, saying what they cost and what was cut."""
    epoch = budget.seconds_per_picture * (TRAINING_COST * train + valid)
    left = CERTAIN * (budget.deadline - time.monotonic())
    epochs = config.epochs if math.isinf(left) else min(config.epochs, max(0, int(left / epoch)))
    if epochs == 0:
        report.say(
            f"Fine-tuning left out: an epoch would take about {duration(epoch)}, and the time "
            "budget has less left (--minutes)."
        )
        return 0
    cut = f" (cut from {config.epochs} to fit --minutes)" if epochs < config.epochs else ""
    report.say(
        f"Fine-tuning: the last {counted(config.groups, 'layer group')}, up to "
        f"{counted(epochs, 'epoch')}{cut}, about {duration(epoch * epochs)}."
    )
    return epochs
