"""The contest between the head and fine-tuning, on pictures that neither had learned from.

Each fold that judges does so after a cycle of fine-tuning from which it was kept out; as many folds
judge as it takes and as there is time for. What won learns from all pictures in the end.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import FineTuneConfig
from retrain.model.build import copy_under, shift_bias
from retrain.model.predict import Forward, predict_logits
from retrain.progress import Reporter, counted, duration
from retrain.training.answers import Answers, has_lost
from retrain.training.augment import strength
from retrain.training.calibration import HEADS, TUNED, probability_losses
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.fit import Course, Log
from retrain.training.head import Head
from retrain.training.history import EpochRow
from retrain.training.mirrored import changed_by_mirror
from retrain.training.plan import ROUNDS, SPARE, Plan, again
from retrain.training.stages import fine_tune, follow, is_worth_trying
from retrain.training.store import Stores
from retrain.training.strangeness import distances_of_judges
from retrain.training.task import Budget, Task
from retrain.training.tuning import Tuning

Array = NDArray[np.float32]
# Of the way from the head's weights to the tuned ones. A part may be better than all of it, where
# the head is nearly as good (WiSE-FT, Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).
SHARES = (1.0, 0.75)


@dataclass(frozen=True)
class Judged:
    """A fine-tuned model, and how it fared.

    model: float32, of the first cycle.
    policy: the Keras dtype policy that it was trained under.
    progress: of the first cycle.
    answers: of all cycles, at each of `SHARES`; none where the first did not come to its end.
    history: one row for each round of all cycles.
    seconds: that a cycle takes besides its rounds.
    """

    model: keras.Model
    policy: str
    progress: Progress
    answers: tuple[Answers, ...]
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

    def is_worth_trying(self) -> bool:
        """Tell whether fine-tuning is wanted and could show a gain; say why not."""
        folds, of_picture = self.task.juries(), self.task.folds.of_picture
        judges = len(self.task.parts["validation"].labels)
        if folds:
            judges = int((of_picture == folds[0]).sum())
        return is_worth_trying(self.head, judges, self.task.config.fine_tune, self.report)

    def with_fitting_views(self) -> "Contest":
        """Return the same without mirrored views, where a mirror makes another category; say so."""
        config = self.task.config
        if not strength(config.augment).flip:
            return self
        forward = Forward(self.task.network, constant=True)
        changed = changed_by_mirror(self.task, self.head, forward)
        if not changed:
            return self
        names = named(self.task.categories, changed)
        self.report.say(f"Views are not mirrored: left and right matter for {names}.")
        config = replace(config, augment=replace(config.augment, flip=False))
        return replace(self, task=replace(self.task, config=config))

    def judged(self) -> Judged | None:
        """Fine-tune and let the folds judge; None where there is no time for it, which is said."""
        folds = self.task.juries()
        tuning = self._tuning(folds[0] if folds else None)
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
            self._answers(model, tuning, folds[0] if folds else 0) if progress.finished else ()
        )
        first = Judged(model, policy, progress, answers, progress.history, spent)
        return self._by_more(first, folds[1:])

    def gains(self, answers: Answers) -> NDArray[np.float64]:
        """Return by how much the log loss of each judged picture is less than the head's, [m].

        Both get their temperatures in the same way, so that calibration alone decides nothing.
        """
        if len(answers.rows):
            logits = self.head.crossed.logits[answers.rows]
        else:
            logits = self.head.logits(self.task.parts["validation"].features)
        head = replace(answers, logits=logits, share=0.0, prior=HEADS)
        old = probability_losses(head.probabilities(), answers.labels)
        return old - probability_losses(answers.probabilities(), answers.labels)

    def best(self, judged: Judged) -> Answers | None:
        """Return the answers at the share that did best; None if there are none."""
        return max(judged.answers, key=lambda each: self.gains(each).mean(), default=None)

    def published(self, judged: Judged, share: float) -> keras.Model:
        """Return the judged model at a share of its way from the head."""
        folds = self.task.juries()
        return self._eased(judged.model, self._tuning(folds[0] if folds else None), share)

    def on_all(self, judged: Judged, share: float) -> tuple[keras.Model, Progress] | None:
        """Train once more by a plan that has proved good, on all pictures; None if it cannot be.

        Args:
            judged: what proved good.
            share: of the way from the head's weights that the model is to be at.
        """
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
        tuning = self._tuning(None)
        parts = (tuning, course, self.stores, checkpoints, self.report)
        model, progress = follow(*parts, log=self.log)
        if not progress.finished:
            self.report.say(f"The model that was judged is kept: {progress.stopped}.")
            return None
        return self._eased(self._exportable(model), tuning, share), progress

    def strangeness(self, judged: Judged, share: float) -> Array:
        """Return how far those who judged the first cycle lie from what it had learned from, [n].

        They are kept for the model of all pictures: nothing is left then that it has not seen, and
        distances of what a network has learned from are shorter than those of news.

        Args:
            judged: the first cycle's model.
            share: of the way from the head's weights that the model is at.
        """
        train, first = self.task.parts["train"], self.task.juries()[0]
        jury = self.task.folds.of_picture == first
        # Without variations, which lie close to their originals: the reference has none either.
        parts = (train.some(np.flatnonzero(~jury)), train.some(np.flatnonzero(jury)))
        return distances_of_judges(self.published(judged, share), self.task.rules, *parts)

    def _by_more(self, judged: Judged, folds: Sequence[int]) -> Judged:
        """Let more folds judge, each after a cycle of its own, if it matters and there is time."""
        for number in folds:
            if not judged.answers or all(has_lost(self.gains(each)) for each in judged.answers):
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
        seen = any(len(answers.folds) > 1 for answers in judged.answers)
        return again(judged.progress.plan, len(of_picture) - first, count, 0 if seen else first)

    def _exportable(self, model: keras.Model) -> keras.Model:
        """Return a fine-tuned model in float32, without the shift of weights and variations."""
        if model.dtype_policy.name != "float32":
            model = copy_under("float32", model, self.task.backbone, self.task.rules.size)
        shift_bias(model, -self.head.examples.shift)
        return model

    def _eased(self, model: keras.Model, tuning: Tuning, share: float) -> keras.Model:
        """Return a model whose weights are at a share of the way from those it began with."""
        if share == 1:
            return model
        eased = copy_under("float32", model, self.task.backbone, self.task.rules.size)
        pairs = zip(tuning.start.get_weights(), model.get_weights(), strict=True)
        eased.set_weights([(1 - share) * old + share * new for old, new in pairs])
        return eased

    def _answers(self, model: keras.Model, tuning: Tuning, fold: int) -> tuple[Answers, ...]:
        """Return what a model says of those who judge, at each share; none if it is no number."""
        jury = tuning.judged_by
        paths = [picture.path for picture in jury.pictures]
        by_fold = bool(self.task.juries())
        rows = np.flatnonzero(self.task.folds.of_picture == fold) if by_fold else np.zeros(0, int)
        usual = self.task.config.fine_tune.smoothing == FineTuneConfig().smoothing
        prior, found = TUNED if usual else None, []
        for share in SHARES:
            forward = Forward(self._eased(model, tuning, share))
            logits = predict_logits(forward, paths, self.task.rules)
            if not np.isfinite(logits).all():
                return ()
            told = (np.full(len(logits), fold), rows.astype(np.intp), logits, jury.labels)
            found.append(Answers(*told, share, prior))
        return tuple(found)


def named(categories: Sequence[str], indices: Sequence[int], most: int = 3) -> str:
    """Name categories, not too many.

    >>> named("abcde", [0, 2]), named("abcde", [0, 1, 2, 3, 4])
    ("'a', 'c'", "'a', 'b', 'c' and 2 others")
    """
    first = ", ".join(repr(categories[i]) for i in indices[:most])
    rest = len(indices) - most
    return f"{first} and {rest} other{'s' * (rest > 1)}" if rest > 0 else first


def _slowdown(progress: Progress) -> float:
    """Return how many times longer than planned the steps of a cycle took, 1 or more."""
    pace = progress.plan.pace
    if pace is None:
        return 1.0
    return max(1.0, progress.seconds / (pace.seconds(0, progress.step) + ROUNDS * pace.round))


def _with_answers(judged: Judged, more: Sequence[Answers], progress: Progress) -> Judged:
    """Return what was judged, with the answers of another cycle; without any if it has none."""
    joined = tuple(
        replace(
            old,
            fold=np.concatenate([old.fold, new.fold]),
            rows=np.concatenate([old.rows, new.rows]),
            logits=np.concatenate([old.logits, new.logits]),
            labels=np.concatenate([old.labels, new.labels]),
        )
        for old, new in zip(judged.answers, more, strict=False)
    )
    return replace(judged, answers=joined, history=(*judged.history, *progress.history))
