"""The whole recipe: the head, then fine-tuning from it; the better is kept, and calibrated."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.data.records import SIDES, Side
from retrain.metrics import softmax
from retrain.model.backbones import Backbone
from retrain.model.build import add_head, copy_under, shift_bias
from retrain.model.predict import Forward, predict_logits
from retrain.progress import Reporter, counted
from retrain.train.balance import category_weights, prior_shift
from retrain.train.calibration import (
    Calibration,
    fit_temperature,
    losses,
)
from retrain.train.checkpoints import Checkpoints, EpochRow, Plan
from retrain.train.fit import Log
from retrain.train.head import Head
from retrain.train.labelled import Labelled
from retrain.train.stages import Budget, Tuning, fine_tune, train_head


@dataclass(frozen=True)
class Learned:
    """The model that won, float32.

    forward: of this model. stage: "head" or "fine_tune". policy: it was trained under. logits:
    float32 [n, k] on validation and test, before calibration. history: a row an epoch. plan: of
    fine-tuning, None if there was none.
    """

    model: keras.Model
    forward: Forward
    stage: str
    policy: str
    logits: Mapping[Side, NDArray[np.float32]]
    calibration: Calibration
    history: Sequence[EpochRow]
    plan: Plan | None


def learn(
    network: keras.Model,
    backbone: Backbone,
    rules: PixelRules,
    parts: Mapping[Side, Labelled],
    categories: Sequence[str],
    config: TrainConfig,
    budget: Budget,
    checkpoints: Checkpoints,
    log: Log,
    report: Reporter,
) -> Learned:
    """Train the head, then fine-tune from it; return the tuned model if validation shows a gain.

    Args:
        network: the frozen backbone, uint8 pixels to features.
        backbone: its row of the table.
        rules: size and fit.
        parts: pictures, features and labels of each side.
        categories: in the order of the outputs.
        config: the recipe.
        budget: what fine-tuning may cost.
        checkpoints: of the run; an interrupted fine-tuning goes on from them.
        log: hears of each step and epoch.
        report: hears what happens.
    """
    train, valid = parts["train"], parts["validation"]
    weights = category_weights(train.labels, len(categories), config.balance)
    if weights is not None:
        _tell_weights(train.labels, categories, weights, report)
    head, history = train_head(train, valid, len(categories), config.head, weights, report)
    for row in history:
        chosen = row.penalty == head.penalty
        log.epoch(row, softmax(head.logits(valid.features)) if chosen else None)
    model = add_head(network, head.kernel, head.bias)
    tuning = Tuning(model, backbone, train, rules, config, weights)
    tuned = fine_tune(tuning, valid, head, budget, checkpoints, log, report)
    if tuned is None:
        return _kept_head(model, head, parts, history, None)
    tuned_model, fitted = tuned
    history = (*history, *fitted.history)
    if fitted.best is None:
        report.say("Kept: the head alone; fine-tuning finished no epoch.")
        return _kept_head(model, head, parts, history, fitted.plan)
    policy = tuned_model.dtype_policy.name
    if policy != "float32":
        tuned_model = copy_under("float32", tuned_model, backbone, rules.size)
    shift_bias(tuned_model, -prior_shift(weights))
    forward = Forward(tuned_model, constant=True)
    logits: dict[Side, NDArray[np.float32]] = {
        side: predict_logits(forward, [p.path for p in parts[side].pictures], rules)
        for side in SIDES[1:]
    }
    temperature = fit_temperature(logits["validation"], valid.labels)
    new = losses(logits["validation"], valid.labels, temperature)
    old = losses(head.logits(valid.features), valid.labels, head.calibration.temperature)
    both = f"validation loss {new.mean():.4f} against the head's {old.mean():.4f}"
    if not is_better(new, old):
        report.say(
            f"Kept: the head alone; fine-tuning's {both}, no gain beyond what chance does on "
            f"{counted(len(valid.labels), 'picture')}."
        )
        return _kept_head(model, head, parts, history, fitted.plan)
    report.say(f"Kept: the fine-tuned model, {both}.")
    calibration = Calibration(temperature, "validation", len(valid.labels))
    return Learned(
        tuned_model, forward, "fine_tune", policy, logits, calibration, history, fitted.plan
    )


def is_better(new: NDArray[np.floating], old: NDArray[np.floating]) -> bool:
    """Tell whether losses [n] are lower than others of the same pictures, beyond chance.

    The mean gain must exceed its standard error: the simpler model stays unless there is a reason
    (the one-standard-error rule, Breiman et al. 1984). Both models come calibrated as they would be
    published: a few pictures for validation calibrate a fine-tuned model less well than all those
    that a head is cross-fitted on, and that counts.
    """
    gains = old - new
    error = gains.std(ddof=1) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    return bool(gains.mean() > error)


def _kept_head(
    model: keras.Model,
    head: Head,
    parts: Mapping[Side, Labelled],
    history: Sequence[EpochRow],
    plan: Plan | None,
) -> Learned:
    logits = {side: head.logits(parts[side].features) for side in SIDES[1:]}
    return Learned(
        model, Forward(model), "head", "float32", logits, head.calibration, history, plan
    )


def _tell_weights(
    labels: NDArray[np.integer],
    categories: Sequence[str],
    weights: NDArray[np.float64],
    report: Reporter,
) -> None:
    counts = np.bincount(labels, minlength=len(categories))
    least, most = int(counts.argmin()), int(counts.argmax())
    report.say(
        f"Balance: {categories[most]!r} has {counted(int(counts[most]), 'picture')} to learn from, "
        f"{categories[least]!r} {counts[least]}; each counts {weights[most]:.2g} and "
        f"{weights[least]:.2g} times (--balance never: all the same)."
    )
