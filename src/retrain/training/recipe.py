"""The whole recipe: the head, then fine-tuning from it; the better one is kept and calibrated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.records import HELD_OUT, Side
from retrain.model.build import add_head
from retrain.model.classifier import Classifier
from retrain.model.predict import predict_logits
from retrain.progress import Reporter, counted
from retrain.training.answers import Answers, is_better
from retrain.training.balance import category_weights
from retrain.training.calibration import Calibration, probability_losses
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.contest import Contest, Judged
from retrain.training.fit import Log
from retrain.training.head import Head, fit_head
from retrain.training.history import EpochRow
from retrain.training.task import Budget, Task


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
    mirrored: whether fine-tuning was shown mirrored views.
    judging_folds: how many folds judged fine-tuning; 0 if none did, or not to the end.
    share: of the way from the head's weights to the tuned ones that the model is at, 0..1.
    refitted: whether the fine-tuned model was trained once more, on all pictures, after the one
        that was judged; its figures are those of the judged one, but for the test's.
    strangeness: distances of the pictures that judged the first cycle from what it had learned
        from, float32 [n], in a unit of its own; None unless another model was trained after it.
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
    mirrored: bool = True
    judging_folds: int = 0
    share: float = 1.0


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
    head = fit_head(
        train, task.folds, task.groups, task.config.head, weights, report, varied=task.varied
    )
    for row in head.rows():
        log.epoch(row)
    # Fine-tuning from there, if there is anything to gain and time for it.
    contest = Contest(task, head, weights, budget, checkpoints, report, log)
    if not contest.is_worth_trying():
        return _kept_head(task, head)
    contest = contest.with_fitting_views()
    judged = contest.judged()
    if judged is None:
        return _kept_head(task, head)
    answers = contest.best(judged)
    if answers is None or not _wins(answers, contest, report):
        return _kept_head(contest.task, head, judged)
    return _kept_tuned(judged, answers, contest)


def _kept_tuned(judged: Judged, answers: Answers, contest: Contest) -> Learned:
    """Return the fine-tuned model, trained once more on all pictures where that can be."""
    task, head, by_user = contest.task, contest.head, len(answers.rows) == 0
    last = None if by_user else contest.on_all(judged, answers.share)
    model = contest.published(judged, answers.share) if last is None else last[0]
    temperature = answers.temperature()
    classifier = Classifier(model, task.rules, task.categories, temperature)
    test = [picture.path for picture in task.parts["test"].pictures]
    return Learned(
        classifier=classifier,
        head=head,
        stage="fine_tune",
        policy=judged.policy,
        logits={
            "validation": answers.logits if by_user else answers.logits[:0],
            "test": predict_logits(classifier.forward, test, task.rules),
        },
        judged=answers.rows,
        answers=answers.probabilities()[:0] if by_user else answers.probabilities(),
        calibration=Calibration(temperature, _source(answers), len(answers.labels)),
        history=(*head.rows(), *judged.history, *(last[1].history if last else ())),
        progress=judged.progress,
        refitted=last is not None,
        strangeness=(
            contest.strangeness(judged, answers.share) if last and task.config.reference else None
        ),
        share=answers.share,
        mirrored=contest.task.config.augment.flip,
        judging_folds=_judging_folds(answers),
    )


def _judging_folds(answers: Answers) -> int:
    return len(answers.folds) if len(answers.rows) else 0


def _source(answers: Answers) -> str:
    """Say which pictures the temperature was fitted on."""
    if len(answers.rows) == 0:
        return "validation"
    return "one fold" if len(answers.folds) == 1 else "cross-fitted"


def _wins(answers: Answers, contest: Contest, report: Reporter) -> bool:
    """Tell whether fine-tuning beats the head on the same pictures, and say so."""
    labels, gains = answers.labels, contest.gains(answers)
    better = is_better(gains)
    new = float(probability_losses(answers.probabilities(), labels).mean())
    both = f"its loss is {new:.4f}, the head's {new + gains.mean():.4f}"
    on = f"on {counted(len(labels), 'picture')} that neither had seen"
    if better:
        back = (
            "" if answers.share == 1 else f", {1 - answers.share:.0%} of the way back to the head"
        )
        report.say(f"The fine-tuned model is kept{back}: {on}, {both}.")
    else:
        report.say(f"The head alone is kept: {on}, fine-tuning shows no gain ({both}).")
    return better


def _kept_head(task: Task, head: Head, tried: Judged | None = None) -> Learned:
    judged, temperature = np.flatnonzero(head.crossed.judged), head.calibration.temperature
    network = add_head(task.network, head.kernel, head.bias)
    return Learned(
        classifier=Classifier(network, task.rules, task.categories, temperature),
        head=head,
        stage="head",
        policy="float32",
        logits={side: head.logits(task.parts[side].features) for side in HELD_OUT},
        judged=judged,
        answers=head.crossed.probabilities()[judged],
        calibration=head.calibration,
        history=(*head.rows(), *(tried.history if tried else ())),
        progress=tried.progress if tried else None,
        mirrored=task.config.augment.flip,
        judging_folds=_judging_folds(tried.answers[0]) if tried and tried.answers else 0,
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
