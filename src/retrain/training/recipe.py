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
    probability_losses,
)
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.fit import Log
from retrain.training.head import Head, fit_head
from retrain.training.history import EpochRow
from retrain.training.labelled import Labelled
from retrain.training.stages import fine_tune, refit
from retrain.training.strangeness import distances_of_judges
from retrain.training.task import Budget, Task
from retrain.training.tuning import Tuning


@dataclass(frozen=True)
class Learned:
    """The model that won.

    classifier: the model, float32, with its temperature.
    head: the head on the frozen backbone, which was cross-fitted, whether it won or not.
    stage: "head" or "fine_tune".
    policy: the Keras dtype policy that it was trained under.
    logits: float32 [n, k] of validation and test pictures, before calibration.
    judged: rows of training pictures that it has answers for without having learned from them.
    answers: calibrated probabilities of these, float32 [m, k].
    calibration: how the temperature was found.
    history: one row for each penalty of the head and for each round of fine-tuning.
    progress: how far fine-tuning came by which plan; None if there was none.
    refitted: whether the fine-tuned model was trained once more, on all pictures, after the one
        that was judged; its figures are those of the judged one, but for the test's.
    strangeness: distances of the pictures that judged from what the judged model had learned from,
        float32 [n]; None unless another model was trained after it.
    """

    classifier: Classifier
    head: Head
    stage: str
    policy: str
    logits: Mapping[Side, NDArray[np.float32]]
    judged: NDArray[np.intp]
    answers: NDArray[np.float32]
    calibration: Calibration
    history: Sequence[EpochRow]
    progress: Progress | None
    refitted: bool = False
    strangeness: NDArray[np.float32] | None = None


def learn(
    task: Task, budget: Budget, checkpoints: Checkpoints, report: Reporter, *, log: Log
) -> Learned:
    """Train the head, then fine-tune from it; return the tuned model if pictures show a gain.

    Args:
        task: what is to be learned.
        budget: what fine-tuning may cost.
        checkpoints: the checkpoints of the run, from which an interrupted fine-tuning goes on.
        report: hears what happens.
        log: hears of each step and epoch.
    """
    train = task.parts["train"]
    weights = category_weights(train.labels, len(task.categories), task.config.balance)
    if weights is not None:
        _tell_weights(train.labels, task.categories, weights, report)
    # The head: a convex problem on cached features.
    head = fit_head(train, task.folds, task.groups, task.config.head, weights, report)
    for row in head.rows():
        log.epoch(row)
    # Fine-tuning from there, if there is anything to gain and time for it.
    tuning = Tuning.of(task, head, weights)
    second = len(task.jury()) > 0  # what judges is learned from in the end
    share = budget.half() if second else budget
    tuned = fine_tune(tuning, head, share, checkpoints, report, log=log)
    if tuned is None:
        return _kept_head(tuning, head)
    model, progress = tuned
    if not progress.finished:
        report.say("The head alone is kept: fine-tuning did not come to its end.")
        return _kept_head(tuning, head, progress)
    # The contest: both as they would be published.
    contestant = _calibrated(_exportable(model, tuning), tuning, head, progress)
    if not _wins(contestant, head, tuning, report):
        return _kept_head(tuning, head, progress)
    contestant = replace(contestant, policy=model.dtype_policy.name)
    if not second:
        return contestant
    # What won learns from all pictures, by the same plan.
    last = refit(tuning, head, progress.plan, budget, checkpoints.of_refit(), report, log=log)
    if last is None:
        return contestant
    if task.config.reference:
        far = distances_of_judges(contestant.classifier, tuning.learned_from, tuning.judged_by)
        contestant = replace(contestant, strangeness=far)
    model, again = last
    return _refitted(contestant, _exportable(model, tuning), again, task)


def _exportable(model: keras.Model, tuning: Tuning) -> keras.Model:
    """Return a fine-tuned model in float32, without the shift of weighted categories."""
    task = tuning.task
    if model.dtype_policy.name != "float32":
        model = copy_under("float32", model, task.backbone, task.rules.size)
    shift_bias(model, -prior_shift(tuning.weights))
    return model


def _calibrated(model: keras.Model, tuning: Tuning, head: Head, progress: Progress) -> Learned:
    """Let a fine-tuned model judge the pictures held back, and fit its temperature to them."""
    task, jury = tuning.task, tuning.task.jury()
    raw = Classifier(model, task.rules, task.categories)

    def logits(of: Labelled) -> NDArray[np.float32]:
        return predict_logits(raw.forward, [p.path for p in of.pictures], task.rules)

    judged = logits(tuning.judged_by)
    temperature = fit_temperature(judged, tuning.judged_by.labels)
    by_user = len(jury) == 0
    return Learned(
        classifier=raw.at_temperature(temperature),
        head=head,
        stage="fine_tune",
        policy="float32",
        logits={
            "validation": judged if by_user else judged[:0],
            "test": logits(task.parts["test"]),
        },
        judged=jury,
        answers=softmax(judged[:0] if by_user else judged, temperature),
        calibration=Calibration(
            temperature, "validation" if by_user else "one fold", len(tuning.judged_by.labels)
        ),
        history=(*head.rows(), *progress.history),
        progress=progress,
    )


def _refitted(judged: Learned, model: keras.Model, progress: Progress, task: Task) -> Learned:
    """Return what was judged with the model that has learned from all pictures.

    Its answers on pictures for the test are its own; the temperature is that of the judged one,
    since no picture is left to fit another.
    """
    temperature = judged.calibration.temperature
    classifier = Classifier(model, task.rules, task.categories, temperature)
    test = [picture.path for picture in task.parts["test"].pictures]
    return replace(
        judged,
        classifier=classifier,
        logits={**judged.logits, "test": predict_logits(classifier.forward, test, task.rules)},
        history=(*judged.history, *progress.history),
        refitted=True,
    )


def _wins(tuned: Learned, head: Head, tuning: Tuning, report: Reporter) -> bool:
    """Tell whether a fine-tuned model beats the head on the same pictures, and say so."""
    labels = tuning.judged_by.labels
    if len(tuned.judged):
        new = probability_losses(tuned.answers, labels)
        old = probability_losses(head.crossed.probabilities()[tuned.judged], labels)
    else:
        new = losses(tuned.logits["validation"], labels, tuned.calibration.temperature)
        old_logits = head.logits(tuning.judged_by.features)
        old = losses(old_logits, labels, head.calibration.temperature)
    both = f"its loss is {new.mean():.4f}, the head's {old.mean():.4f}"
    on = f"on {counted(len(labels), 'picture')} that neither had seen"
    better = is_better(new, old)
    if better:
        report.say(f"The fine-tuned model is kept: {on}, {both}.")
    else:
        report.say(
            f"The head alone is kept: {on}, fine-tuning shows no gain beyond chance ({both})."
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


def _kept_head(tuning: Tuning, head: Head, progress: Progress | None = None) -> Learned:
    task, judged = tuning.task, np.flatnonzero(head.crossed.judged)
    temperature = head.calibration.temperature
    network = add_head(task.network, head.kernel, head.bias)  # `tuning.start` saw no jury
    return Learned(
        classifier=Classifier(network, task.rules, task.categories, temperature),
        head=head,
        stage="head",
        policy="float32",
        logits={side: head.logits(task.parts[side].features) for side in HELD_OUT},
        judged=judged,
        answers=head.crossed.probabilities()[judged],
        calibration=head.calibration,
        history=(*head.rows(), *(progress.history if progress else ())),
        progress=progress,
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
