"""The whole recipe: the head, then fine-tuning from it; the better one is kept and calibrated."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.data.records import HELD_OUT, Side
from retrain.metrics import softmax
from retrain.model.build import add_head, copy_under, shift_bias
from retrain.model.classifier import Classifier
from retrain.model.predict import predict_logits
from retrain.progress import Reporter, counted
from retrain.training.balance import category_weights, prior_shift
from retrain.training.calibration import (
    Calibration,
    fit_temperature,
    losses,
)
from retrain.training.checkpoints import Checkpoints, EpochRow, Plan
from retrain.training.fit import Log
from retrain.training.head import Head
from retrain.training.labelled import Labelled
from retrain.training.stages import Budget, Task, Tuning, fine_tune, train_head


@dataclass(frozen=True)
class Learned:
    """The model that won.

    classifier: the model in float32, with its temperature.
    stage: the stage that made it, "head" or "fine_tune".
    policy: the Keras dtype policy that it was trained under.
    logits: its logits on validation and test pictures before calibration, float32 [n, k].
    calibration: how the temperature was found.
    history: one row for each penalty of the head and for each epoch of fine-tuning.
    plan: the plan of fine-tuning; None if there was none.
    """

    classifier: Classifier
    stage: str
    policy: str
    logits: Mapping[Side, NDArray[np.float32]]
    calibration: Calibration
    history: Sequence[EpochRow]
    plan: Plan | None


def learn(
    task: Task, budget: Budget, checkpoints: Checkpoints, report: Reporter, *, log: Log
) -> Learned:
    """Train the head, then fine-tune from it; return the tuned model if validation shows a gain.

    Args:
        task: what is to be learned.
        budget: what fine-tuning may cost.
        checkpoints: the checkpoints of the run, from which an interrupted fine-tuning goes on.
        report: hears what happens.
        log: hears of each step and epoch.
    """
    train, valid = task.parts["train"], task.parts["validation"]
    weights = category_weights(train.labels, len(task.categories), task.config.balance)
    if weights is not None:
        _tell_weights(train.labels, task.categories, weights, report)
    # The head: a convex problem on cached features.
    head, history = train_head(
        train, valid, len(task.categories), task.config.head, weights, report
    )
    for row in history:
        chosen = row.penalty == head.penalty
        log.epoch(row, softmax(head.logits(valid.features)) if chosen else None)
    start = add_head(task.network, head.kernel, head.bias)
    # Fine-tuning from there, if there is anything to gain and time for it.
    tuning = Tuning(task, start, weights)
    tuned = fine_tune(tuning, head, budget, checkpoints, report, log=log)
    if tuned is None:
        return _kept_head(task, start, head, history)
    model, fitted = tuned
    history = (*history, *fitted.history)
    if fitted.best is None:
        report.say("Kept: the head alone, because fine-tuning finished no epoch.")
        return _kept_head(task, start, head, history, fitted.plan)
    # The contest: both as they would be published.
    contestant = _calibrated(_exportable(model, tuning), task, history, fitted.plan)
    if not _wins(contestant, head, valid, report):
        return _kept_head(task, start, head, history, fitted.plan)
    return replace(contestant, policy=model.dtype_policy.name)


def _exportable(model: keras.Model, tuning: Tuning) -> keras.Model:
    """Return a fine-tuned model in float32, without the shift of weighted categories."""
    task = tuning.task
    if model.dtype_policy.name != "float32":
        model = copy_under("float32", model, task.backbone, task.rules.size)
    shift_bias(model, -prior_shift(tuning.weights))
    return model


def _calibrated(model: keras.Model, task: Task, history: Sequence[EpochRow], plan: Plan) -> Learned:
    """Let a fine-tuned model answer the held-back pictures, and fit its temperature to them."""
    raw = Classifier(model, task.rules, task.categories)
    logits: dict[Side, NDArray[np.float32]] = {
        side: predict_logits(raw.forward, [p.path for p in task.parts[side].pictures], task.rules)
        for side in HELD_OUT
    }
    labels = task.parts["validation"].labels
    temperature = fit_temperature(logits["validation"], labels)
    return Learned(
        classifier=raw.at_temperature(temperature),
        stage="fine_tune",
        policy="float32",
        logits=logits,
        calibration=Calibration(temperature, "validation", len(labels)),
        history=history,
        plan=plan,
    )


def _wins(tuned: Learned, head: Head, valid: Labelled, report: Reporter) -> bool:
    """Tell whether a fine-tuned model beats the head on validation pictures, and say so."""
    new = losses(tuned.logits["validation"], valid.labels, tuned.calibration.temperature)
    old = losses(head.logits(valid.features), valid.labels, head.calibration.temperature)
    both = f"its validation loss is {new.mean():.4f}, and the head's is {old.mean():.4f}"
    better = is_better(new, old)
    if better:
        report.say(f"Kept: the fine-tuned model; {both}.")
    else:
        report.say(
            "Kept: the head alone. The fine-tuned model shows no gain beyond chance on "
            f"{counted(len(valid.labels), 'picture')}: {both}."
        )
    return better


def is_better(new: NDArray[np.floating], old: NDArray[np.floating]) -> bool:
    """Tell whether losses [n] are lower than others of the same pictures, beyond chance.

    The mean gain must exceed its standard error: the simpler model stays unless there is a reason
    (the one-standard-error rule, Breiman et al. 1984). Both models are calibrated as they would be
    published. A few validation pictures calibrate a fine-tuned model less well than
    cross-validation on all training pictures calibrates the head, and that counts.
    """
    gains = old - new
    error = gains.std(ddof=1) / math.sqrt(len(gains)) if len(gains) > 1 else math.inf
    return bool(gains.mean() > error)


def _kept_head(
    task: Task,
    model: keras.Model,
    head: Head,
    history: Sequence[EpochRow],
    plan: Plan | None = None,
) -> Learned:
    return Learned(
        classifier=Classifier(model, task.rules, task.categories, head.calibration.temperature),
        stage="head",
        policy="float32",
        logits={side: head.logits(task.parts[side].features) for side in HELD_OUT},
        calibration=head.calibration,
        history=history,
        plan=plan,
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
        f"each of which counts {weights[most]:.2g} times; {categories[least]!r} has "
        f"{counts[least]}, each of which counts {weights[least]:.2g} times."
    )
