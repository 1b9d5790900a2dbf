"""The two stages of a training, each written as its recipe: the head, then fine-tuning.

Linear probe first, then tuning from its solution, keeps more of the pretrained features than
training both at once (Kumar et al. 2022, https://arxiv.org/abs/2202.10054).
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import FineTuneConfig, HeadConfig
from retrain.data.images import PixelRules
from retrain.data.records import Picture
from retrain.features import Features
from retrain.model.backbones import Backbone
from retrain.model.build import copy_under, free_last_groups
from retrain.model.predict import Forward, predict_probabilities
from retrain.progress import Reporter, counted, duration
from retrain.train.fit import EpochRow, Fitted, fit
from retrain.train.head import Head, best_head, fit_head
from retrain.train.optim import make_optimizer
from retrain.train.pipeline import training_batches

# Per picture, feature and category, for all penalties; measured on two cores.
SECONDS_PER_HEAD_WORK = 6e-7
TRAINING_COST = 3.0  # a training step against a forward pass; backward costs about twice forward


@dataclass(frozen=True)
class Labelled:
    """Pictures of one side with their features and label indices, row by row."""

    pictures: Sequence[Picture]
    features: Features
    labels: NDArray[np.integer]


@dataclass(frozen=True)
class Budget:
    """What fine-tuning may cost.

    seconds_per_picture: of one forward pass. deadline: on `time.monotonic()`, `math.inf` for none.
    """

    seconds_per_picture: float
    deadline: float


def train_head(
    train: Labelled, valid: Labelled, categories: int, config: HeadConfig, report: Reporter
) -> tuple[Head, tuple[EpochRow, ...]]:
    """Fit the head on cached features; return the best and a row for each that was tried."""
    work = len(train.labels) * train.features.shape[1] * categories
    report.say(
        f"Head: logistic regression on {counted(len(train.labels), 'picture')}, "
        f"about {duration(work * SECONDS_PER_HEAD_WORK)}."
    )
    heads = fit_head(
        (train.features, train.labels), (valid.features, valid.labels), categories, config, report
    )
    rows = (
        EpochRow("head", i, h.train_loss, h.valid_loss, h.error_rate, None, h.seconds)
        for i, h in enumerate(heads, start=1)
    )
    return best_head(heads), tuple(rows)


def fine_tune(
    start: keras.Model,
    backbone: Backbone,
    policy: str,
    train: Labelled,
    valid: Labelled,
    head: Head,
    rules: PixelRules,
    config: FineTuneConfig,
    seed: int,
    budget: Budget,
    checkpoint: Path,
    report: Reporter,
) -> tuple[keras.Model, Fitted] | None:
    """Train the last layer groups of `start` on augmented pictures.

    Args:
        start: backbone with its fitted head, float32; it is not changed.
        backbone: its row of the table.
        policy: Keras dtype policy to train under.
        train: pictures to learn from.
        valid: pictures that choose the epoch.
        head: of `start`; its validation loss is to be beaten.
        rules: size and fit.
        config: the recipe.
        seed: decides order and views.
        budget: how many epochs fit.
        checkpoint: where the best weights so far are kept.
        report: hears the estimate, shows bars and rows.

    Returns:
        The tuned model, built under `policy`, with the weights of its best epoch if one was
        better than `start`, and how it went; None if it was not worth starting, for a reason that
        `report` was told.
    """
    if not _is_worth_trying(head, len(valid.labels), config, report):
        return None
    epochs = _affordable_epochs(len(train.labels), len(valid.labels), config, budget, report)
    if epochs == 0:
        return None
    model = copy_under(policy, start, backbone, rules.size)
    free_last_groups(model, backbone, config.groups)
    steps = math.ceil(len(train.labels) / config.batch)
    forward = Forward(model)
    fitted = fit(
        model,
        make_optimizer(config, steps * epochs, policy),
        lambda epoch: training_batches(train.pictures, train.labels, rules, config, seed, epoch),
        steps,
        lambda: predict_probabilities(forward, [p.path for p in valid.pictures], rules),
        valid.labels,
        epochs,
        config.patience,
        head.valid_loss,
        checkpoint,
        budget.deadline,
        report,
    )
    if fitted.stopped:
        report.say(f"Fine-tuning stopped: {fitted.stopped}.")
    return model, fitted


def _is_worth_trying(head: Head, valid: int, config: FineTuneConfig, report: Reporter) -> bool:
    """Tell whether fine-tuning is wanted and validation data could show that it helps."""
    if config.when == "never":
        return False
    if valid == 0:
        report.say("Fine-tuning left out: no validation picture could tell whether it helps.")
        return False
    faultless = head.error_rate == 0 and head.valid_loss < config.nothing_to_gain
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
    left = budget.deadline - time.monotonic()
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
