"""How a training is judged: on pictures that it had not learned from, by itself and by others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.evaluate.trust import (
    beyond_these,
    is_large,
    like_these,
    not_judged,
    whose_numbers,
    whose_tuned_numbers,
    with_more,
)
from retrain.evaluate.verdicts import Verdict, verdicts, worst_first
from retrain.intervals import cross_fitted_share, figure_intervals, share_of_groups, with_share
from retrain.metrics import Evaluation, evaluate, softmax
from retrain.progress import Reporter
from retrain.run import CROSS_FITTED, FINE_TUNED
from retrain.training.beyond import Beyond, beyond
from retrain.training.head import Head
from retrain.training.labelled import Labelled
from retrain.training.learning_curve import LearningCurve, learning_curve
from retrain.training.recipe import Learned
from retrain.training.task import Task

MOST_TO_STRESS = 5000  # pictures; the stress test and the curve fit dozens of heads
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Judgement:
    """What is known of a trained model.

    evaluations: by what it was judged on: `cross_fitted` is the head's, on all pictures that it
        learned from; `fine_tuned` is of fine-tuned models, on folds that they had not learned from;
        `validation` and `test` are sides. What has no pictures is not among them.
    leading: the name of the evaluation that speaks for the model.
    beyond: the stress test of the head; None where nothing can be held out.
    curve: what more pictures would bring; None where no picture is judged.
    verdicts: on all pictures that the model has not learned from, the greatest loss first.
    sentences: all that in words, the most important first.
    """

    evaluations: Mapping[str, Evaluation]
    leading: str | None
    beyond: Beyond | None
    curve: LearningCurve | None
    verdicts: Sequence[Verdict]
    sentences: Sequence[str]

    @property
    def main(self) -> Evaluation | None:
        """The evaluation that speaks for the model."""
        return self.evaluations[self.leading] if self.leading else None

    def as_dict(self, categories: Sequence[str]) -> dict[str, Any]:
        """Return JSON values for metrics.json."""
        return {
            "judged_by": self.leading,
            **{name: found.as_dict() for name, found in self.evaluations.items()},
            "beyond": _beyond_values(self.beyond, categories),
            "learning_curve": _curve_values(self.curve, categories),
            "in_words": list(self.sentences),
        }


def judge(task: Task, learned: Learned, report: Reporter) -> Judgement:
    """Judge a trained model by all pictures that it has not learned from.

    Args:
        task: what was to be learned.
        learned: the model and the head that was cross-fitted.
        report: shows progress.
    """
    head, evaluations = learned.head, {}
    if head.crossed.judged.any():
        evaluations[CROSS_FITTED] = _cross_fitted(head, task.categories)
    if learned.stage == "fine_tune" and len(learned.judged):
        own = task.parts["train"].some(learned.judged)
        evaluations[FINE_TUNED] = _of_side(own, learned.answers, task.categories)
    for side, logits in learned.logits.items():
        if len(logits):
            scores = softmax(logits, learned.calibration.temperature)
            evaluations[side] = _of_side(task.parts[side], scores, task.categories)
    with report.bar("pictures unlike these, and more of them", 2) as advance:
        stressed = _stressed(head)
        unlike = beyond(stressed, head.chosen.penalty) if stressed else None
        advance(1)
        curve = learning_curve(head.examples, head.crossed) if stressed else None
        advance(1)
    own_names = [CROSS_FITTED if learned.stage == "head" else FINE_TUNED, "validation"]
    leading = next((name for name in (*own_names, "test") if name in evaluations), None)
    if learned.stage == "fine_tune" and "test" in evaluations:
        leading = "test"  # nothing was chosen by it
    judgement = Judgement(
        evaluations, leading, unlike, curve, _verdicts(task, learned), sentences=()
    )
    return replace(judgement, sentences=_sentences(judgement, task, learned))


def _stressed(head: Head) -> Any:
    """Return what the stress test works on; None where there is too much, or nothing to judge."""
    few_enough = len(head.examples.labels) <= MOST_TO_STRESS
    return head.examples if few_enough and head.crossed.judged.any() else None


def _cross_fitted(head: Head, categories: Sequence[str]) -> Evaluation:
    crossed, examples = head.crossed, head.examples
    seen = crossed.judged
    labels, scores = examples.labels[seen], crossed.probabilities()[seen]
    groups = [group for group, judged in zip(examples.groups, seen, strict=True) if judged]
    share = cross_fitted_share(scores.argmax(axis=1) == labels, groups, crossed.optimism.accuracy)
    found = evaluate(scores, labels, categories)
    assert found is not None  # some are judged
    found = with_share(found, share)
    intervals, flattery = figure_intervals(scores, labels, groups, share.interval), crossed.optimism
    if intervals:
        low, high = intervals["log_loss"]
        intervals["log_loss"] = low + flattery.log_loss, high + flattery.log_loss
    return replace(found, log_loss=found.log_loss + flattery.log_loss, intervals=intervals)


def _of_side(part: Labelled, scores: Array, categories: Sequence[str]) -> Evaluation:
    right = scores.argmax(axis=1) == part.labels
    share = share_of_groups(right, [picture.key for picture in part.pictures])
    found = evaluate(scores, part.labels, categories)
    assert found is not None  # nobody asks about no pictures
    return with_share(found, share)


def _verdicts(task: Task, learned: Learned) -> list[Verdict]:
    train = task.parts["train"]
    folds = learned.head.crossed.fold[learned.judged]
    parts = [
        (train.some(learned.judged), learned.answers, [f"fold {fold}" for fold in folds.tolist()])
    ]
    for side, logits in learned.logits.items():
        scores = softmax(logits, learned.calibration.temperature)
        parts.append((task.parts[side], scores, [side] * len(scores)))
    return worst_first(
        verdict
        for part, scores, sides in parts
        for verdict in verdicts(
            [picture.name for picture in part.pictures],
            [picture.path for picture in part.pictures],
            sides,
            scores,
            part.labels,
            task.categories,
        )
    )


def _sentences(judgement: Judgement, task: Task, learned: Learned) -> list[str]:
    """Say what the numbers mean, the most important first."""
    said = []
    if judgement.main:
        said.append(like_these(judgement.main.interval))
    if (unlike := judgement.beyond) is not None:
        said.append(beyond_these(unlike.accuracy, unlike.interval, unlike.drop))
    if (curve := judgement.curve) is not None:
        neediest = task.categories[curve.neediest] if curve.neediest is not None else None
        if more := with_more(curve.doubled, curve.interval, neediest):
            said.append(more)
    if set(judgement.evaluations) == {CROSS_FITTED}:  # where others judge, too, these are shown
        heads = len(learned.head.crossed.heads)
        said.append(whose_numbers(heads, len(task.parts["train"].labels)))
    if judgement.leading == FINE_TUNED:
        judged, every = len(learned.judged), len(task.parts["train"].labels)
        folds = len(set(task.folds.of_picture[learned.judged].tolist()))
        said.append(whose_tuned_numbers(folds, judged, every, learned.refitted))
    by_user = set(task.parts["validation"].labels.tolist())
    unjudged = not_judged([task.categories[i] for i in task.folds.unjudged if i not in by_user])
    return [*said, *([unjudged] if unjudged else [])]


def _beyond_values(unlike: Beyond | None, categories: Sequence[str]) -> dict[str, Any] | None:
    if unlike is None:
        return None
    drops = zip(categories, unlike.by_category.tolist(), strict=True)
    return {
        "accuracy": unlike.accuracy,
        "interval_95": list(unlike.interval),
        "random": unlike.random,
        "drop": unlike.drop,
        "large": is_large(unlike.drop),
        "pictures": unlike.pictures,
        "drop_by_category": {name: _number(drop) for name, drop in drops},
    }


def _curve_values(curve: LearningCurve | None, categories: Sequence[str]) -> dict[str, Any] | None:
    if curve is None:
        return None
    gains = zip(categories, curve.gains.tolist(), strict=True)
    return {
        "pictures": list(curve.pictures),
        "accuracy": list(curve.accuracy),
        "doubled": curve.doubled,
        "interval_95": list(curve.interval),
        "gain_by_category": {name: _number(gain) for name, gain in gains},
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
