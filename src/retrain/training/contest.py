"""The contest between the head and fine-tuning, on pictures that neither had learned from.

Each fold that judges does so after a cycle of fine-tuning from which it was kept out; as many folds
judge as it takes and as there is time for. What won learns from all pictures in the end.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import FineTuneConfig
from retrain.metrics import softmax
from retrain.model.build import copy_under, shift_bias
from retrain.model.predict import Forward, predict_logits
from retrain.progress import Reporter, counted, duration
from retrain.training.balance import prior_shift
from retrain.training.calibration import (
    TUNED,
    Prior,
    fit_temperature,
    likely_temperature,
    probability_losses,
)
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.fit import Course, Log
from retrain.training.head import Head
from retrain.training.history import EpochRow
from retrain.training.plan import ROUNDS, SPARE, Plan, again
from retrain.training.stages import fine_tune, follow, is_worth_trying
from retrain.training.store import Stores
from retrain.training.strangeness import distances_of_judges
from retrain.training.task import Budget, Task
from retrain.training.tuning import Tuning

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Answers:
    """What fine-tuned models said of pictures that they had not learned from.

    fold: int [m], the fold of each picture; 0 for all of a validation side.
    rows: int [m], the pictures' rows among those to learn from; empty for a validation side.
    logits: float32 [m, k]. labels: int [m].
    prior: what is known of the temperature of such models; None if nothing is.
    """

    fold: NDArray[np.int64]
    rows: NDArray[np.intp]
    logits: Array
    labels: NDArray[np.integer]
    prior: Prior | None = None

    @property
    def folds(self) -> list[int]:
        """The folds that judged, rising."""
        return [int(number) for number in np.unique(self.fold)]

    def temperature(self) -> float:
        """Return the temperature that suits all these pictures."""
        return self._temperature(np.ones(len(self.labels), np.bool_))

    def probabilities(self) -> Array:
        """Return calibrated probabilities, float32 [m, k].

        A fold's temperature is fitted on the others, as that of the head is; a single fold's on
        itself, for want of others.
        """
        found = np.empty_like(self.logits)
        for number in self.folds:
            own = self.fold == number
            others = ~own if len(self.folds) > 1 else own
            found[own] = softmax(self.logits[own], self._temperature(others))
        return found

    def _temperature(self, some: NDArray[np.bool_]) -> float:
        logits, labels = self.logits[some], self.labels[some]
        if self.prior is None:
            return fit_temperature(logits, labels)
        return likely_temperature(logits, labels, self.prior)


@dataclass(frozen=True)
class Judged:
    """A fine-tuned model, and how it fared.

    model: float32, of the first cycle.
    policy: the Keras dtype policy that it was trained under.
    progress: of the first cycle.
    answers: of all cycles; None where the first did not come to its end.
    history: one row for each round of all cycles.
    seconds: that a cycle takes besides its rounds.
    """

    model: keras.Model
    policy: str
    progress: Progress
    answers: Answers | None
    history: tuple[EpochRow, ...]
    seconds: float = 0.0


@dataclass(frozen=True)
class Contest:
    """All cycles of a fine-tuning, and what they have in common.

    task: what is to be learned.
    head: the head, which fine-tuning starts from and has to beat.
    weights: how much a picture counts, by its category, float [k]; None if all count the same.
    budget: what all cycles together may cost.
    checkpoints: of the first cycle, beside which those of the others lie.
    report: hears what happens.
    log: hears of each step and round.
    stores: keep what is made once.
    """

    task: Task
    head: Head
    weights: NDArray[np.float64] | None
    budget: Budget
    checkpoints: Checkpoints
    report: Reporter
    log: Log
    stores: Stores = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "stores", Stores(self.budget.disk, self.report.warn))

    def judged(self) -> Judged | None:
        """Fine-tune and let the folds judge; None where it is not tried, which is said."""
        folds, recipe = self.task.juries(), self.task.config.fine_tune
        tuning = self._tuning(folds[0] if folds else None)
        if not is_worth_trying(self.head, len(tuning.judged_by.labels), recipe, self.report):
            return None
        begun = time.monotonic()
        share = self.budget.part(1, 1) if folds else self.budget  # the second is for all pictures
        tuned = fine_tune(tuning, share, self.stores, self.checkpoints, self.report, log=self.log)
        if tuned is None:
            return None
        model, progress = tuned
        spent = max(0.0, time.monotonic() - begun - progress.seconds)
        if not progress.finished:
            self.report.say(f"Fine-tuning stopped: {progress.stopped}. The head alone is kept.")
        policy = model.dtype_policy.name
        model = self._exportable(model)
        answers = (
            self._answers(model, tuning, folds[0] if folds else 0) if progress.finished else None
        )
        first = Judged(model, policy, progress, answers, progress.history, spent)
        return self._by_more(first, folds[1:])

    def gains(self, answers: Answers) -> NDArray[np.float64]:
        """Return by how much the log loss of each judged picture is less than the head's, [m]."""
        labels = answers.labels
        if len(answers.rows):
            old = self.head.crossed.probabilities()[answers.rows]
        else:
            logits = self.head.logits(self.task.parts["validation"].features)
            old = softmax(logits, self.head.calibration.temperature)
        return probability_losses(old, labels) - probability_losses(answers.probabilities(), labels)

    def on_all(self, judged: Judged) -> tuple[keras.Model, Progress] | None:
        """Train once more by a plan that has proved good, on all pictures; None if it cannot be."""
        checkpoints, every = self.checkpoints.of("refit"), len(self.task.parts["train"].labels)
        plan = self._plan_again(judged, None)
        wanted = plan.seconds or 0.0
        if checkpoints.progress() is None and wanted > self.budget.left():
            self.report.say(
                f"The model is not trained once more on all {counted(every, 'picture')}: that "
                f"would take about {duration(wanted)}, and the time budget has less than that left."
            )
            return None
        self.report.say(
            f"Training once more on all {counted(every, 'picture')}, also those that judged: "
            f"{counted(plan.steps, 'step')}."
        )
        course = Course(plan, self.budget.deadline, "refit")
        parts = (self._tuning(None), course, self.stores, checkpoints, self.report)
        model, progress = follow(*parts, log=self.log)
        if not progress.finished:
            self.report.say(f"The model that was judged is kept: {progress.stopped}.")
            return None
        return self._exportable(model), progress

    def strangeness(self, judged: Judged) -> Array:
        """Return how far those who judged the first cycle lie from what it had learned from, [n].

        They are kept for the model of all pictures: nothing is left then that it has not seen, and
        distances of what a network has learned from are shorter than those of news.
        """
        tuning = self._tuning(self.task.juries()[0])
        parts = (tuning.learned_from, tuning.judged_by)
        return distances_of_judges(judged.model, self.task.rules, *parts)

    def _by_more(self, judged: Judged, folds: Sequence[int]) -> Judged:
        """Let more folds judge, each after a cycle of its own, if it matters and there is time."""
        for number in folds:
            if judged.answers is None or _has_lost(self.gains(judged.answers)):
                break
            checkpoints = self.checkpoints.of(f"fold{number}")
            plan = self._plan_again(judged, number)
            own, after = (
                judged.seconds + _slowdown(judged.progress) * (each.seconds or 0.0)
                for each in (plan, self._plan_again(judged, None))
            )
            settled = checkpoints.progress() or self.checkpoints.of("refit").progress()
            if not settled and own + after > SPARE * self.budget.left():
                break
            if not checkpoints.progress() and settled:
                break  # an interrupted training had no time for it
            tuning = self._tuning(number)
            self.report.say(
                f"Training on the other folds, so that fold {number + 1} of "
                f"{len(self.task.folds.numbers())} can judge, too: {counted(plan.steps, 'step')}."
            )
            deadline = self.budget.part(own, after).deadline
            course = Course(plan, deadline, f"fold_{number}")
            parts = (tuning, course, self.stores, checkpoints, self.report)
            model, progress = follow(*parts, log=self.log)
            if not progress.finished:
                break
            found = self._answers(self._exportable(model), tuning, number)
            judged = _with_answers(judged, found, progress)
        return judged

    def _tuning(self, fold: int | None) -> Tuning:
        return Tuning.of(self.task, self.head, self.weights, fold)

    def _plan_again(self, judged: Judged, fold: int | None) -> Plan:
        """Return the plan of the first cycle for those that a fold does not hold; None for all."""
        of_picture, folds = self.task.folds.of_picture, self.task.juries()
        first = int((of_picture == folds[0]).sum())
        count = len(of_picture) if fold is None else int((of_picture != fold).sum())
        seen = judged.answers is not None and len(judged.answers.folds) > 1
        return again(judged.progress.plan, len(of_picture) - first, count, 0 if seen else first)

    def _exportable(self, model: keras.Model) -> keras.Model:
        """Return a fine-tuned model in float32, without the shift of weighted categories."""
        if model.dtype_policy.name != "float32":
            model = copy_under("float32", model, self.task.backbone, self.task.rules.size)
        shift_bias(model, -prior_shift(self.weights))
        return model

    def _answers(self, model: keras.Model, tuning: Tuning, fold: int) -> Answers | None:
        """Return what a model says of those who judge; None where that is no number."""
        jury = tuning.judged_by
        paths = [picture.path for picture in jury.pictures]
        logits = predict_logits(Forward(model), paths, self.task.rules)
        if not np.isfinite(logits).all():
            return None
        by_fold = bool(self.task.juries())
        rows = np.flatnonzero(self.task.folds.of_picture == fold) if by_fold else np.zeros(0, int)
        usual = self.task.config.fine_tune.smoothing == FineTuneConfig().smoothing
        prior = TUNED if usual else None
        return Answers(np.full(len(logits), fold), rows.astype(np.intp), logits, jury.labels, prior)


def is_better(gains: NDArray[np.floating]) -> bool:
    """Tell by gains [m], in log loss on the same pictures, whether fine-tuning is published.

    It is where the mean is a gain: `bench/contest.py` compares rules by their regret, and to ask
    for more than that loses more by good models that are thrown away than it saves by bad ones.
    """
    return len(gains) > 0 and bool(gains.mean() > 0)


def _has_lost(gains: NDArray[np.floating]) -> bool:
    """Tell whether more judges would hardly change that the head is better."""
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return bool(gains.mean() + error < 0)


def _slowdown(progress: Progress) -> float:
    """Return how many times longer than planned the steps of a cycle took, 1 or more."""
    pace = progress.plan.pace
    if pace is None:
        return 1.0
    return max(1.0, progress.seconds / (pace.seconds(0, progress.step) + ROUNDS * pace.round))


def _with_answers(judged: Judged, more: Answers | None, progress: Progress) -> Judged:
    """Return what was judged, with the answers of another cycle."""
    assert judged.answers is not None
    old = judged.answers
    joined = more and Answers(
        np.concatenate([old.fold, more.fold]),
        np.concatenate([old.rows, more.rows]),
        np.concatenate([old.logits, more.logits]),
        np.concatenate([old.labels, more.labels]),
        old.prior,
    )
    return Judged(
        judged.model,
        judged.policy,
        judged.progress,
        joined,
        (*judged.history, *progress.history),
        judged.seconds,
    )
