"""Fine-tuning as a stage: whether it is worth it, what it costs, how it goes.

A linear probe first, and fine-tuning from its solution, keeps more of the pretrained features than
training both at once (Kumar et al. 2022, https://arxiv.org/abs/2202.10054).
"""

import math
import time
from dataclasses import replace

import keras

from retrain.config import FineTuneConfig
from retrain.progress import Reporter, counted, duration
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.fit import Course, Log, fit
from retrain.training.head import Head
from retrain.training.ladder import TRAINING_COST, Chosen, build, timed_plan, untimed_plan
from retrain.training.lr_finder import STEPS as SWEEP_STEPS
from retrain.training.store import Stores
from retrain.training.task import Budget
from retrain.training.tuning import Rig, Tuning

SWEEP_SHARE = 0.1  # of the time left that a sweep for the learning rate may cost


def fine_tune(
    tuning: Tuning,
    budget: Budget,
    stores: Stores,
    checkpoints: Checkpoints,
    report: Reporter,
    *,
    log: Log,
) -> tuple[keras.Model, Progress] | None:
    """Train the last layer groups on augmented pictures, for one cycle of the learning rate.

    Args:
        tuning: the model, the pictures and the recipe.
        budget: the time that decides how much is trained, and for how long.
        stores: keep what is made once.
        checkpoints: the state of an interrupted training, and where the state is kept.
        report: hears the plan, and shows bars and rows.
        log: hears of each step and round.

    Returns:
        The tuned model and how far it came; None if there is no time for it, which `report` was
        told. The model is under the configured precision and has the weights of its
        last step; its logits are still shifted by the weights of categories.
    """
    chosen = _chosen(tuning, budget, stores, checkpoints, report)
    if chosen is None:
        return None
    course = Course(chosen.plan, budget.deadline)
    return _fitted(tuning, chosen.rig, course, checkpoints, report, log=log, shows=True)


def follow(
    tuning: Tuning,
    course: Course,
    stores: Stores,
    checkpoints: Checkpoints,
    report: Reporter,
    *,
    log: Log,
) -> tuple[keras.Model, Progress]:
    """Train by a plan that was settled for other pictures; return the model and how far it came.

    Args:
        tuning: the model, the pictures and the recipe.
        course: the plan, and when the cycle must end.
        stores: of the training for which the plan was settled.
        checkpoints: of this cycle; an interrupted one keeps to its own plan.
        report: shows bars and rows.
        log: hears of each step and round.
    """
    before = checkpoints.progress()
    if before:
        course = replace(course, plan=before.plan)
    rig = build(tuning, course.plan, stores)
    return _fitted(tuning, rig, course, checkpoints, report, log=log, shows=False)


def _fitted(
    tuning: Tuning,
    rig: Rig,
    course: Course,
    checkpoints: Checkpoints,
    report: Reporter,
    *,
    log: Log,
    shows: bool,
) -> tuple[keras.Model, Progress]:
    """Train in a rig, or in a rig on each machine of the team; return the model."""
    if tuning.task.team is None:
        validation = rig.validation if shows else None
        progress = fit(rig.learner, rig.sampler, validation, course, checkpoints, report, log=log)
    else:
        progress = tuning.task.team.fit(tuning, course, checkpoints, report, log=log, shows=shows)
        checkpoints.load(rig.learner)
    return rig.trained(), progress


def _chosen(
    tuning: Tuning, budget: Budget, stores: Stores, checkpoints: Checkpoints, report: Reporter
) -> Chosen | None:
    """Return the plan to follow and its rig: an interrupted training's, or a new one."""
    before = checkpoints.progress()
    if before:
        report.say(f"Fine-tuning: going on after step {before.step} of {before.plan.steps}.")
        return Chosen(before.plan, build(tuning, before.plan, stores))
    if math.isinf(budget.deadline):
        plan = untimed_plan(tuning)
        report.say(
            f"Fine-tuning: {counted(plan.steps, 'step')} of {counted(plan.batch, 'picture')}."
        )
        chosen: Chosen | None = Chosen(plan, build(tuning, plan, stores))
    else:
        chosen = timed_plan(tuning, budget, stores, report)
    if chosen and tuning.recipe.find_rate:
        rates = _found_rates(tuning, chosen, budget, report)
        plan = replace(chosen.plan, learning_rates=rates)
        return Chosen(plan, build(tuning, plan, stores))
    return chosen


def sweep_cost(seconds_per_picture: float, batch: int) -> float:
    """Return about how many seconds a sweep takes."""
    return seconds_per_picture * TRAINING_COST * SWEEP_STEPS * batch


def _found_rates(
    tuning: Tuning, chosen: Chosen, budget: Budget, report: Reporter
) -> tuple[float, float]:
    """Return the learning rates that a sweep suggests, or the configured ones; say why."""
    low, high = chosen.plan.learning_rates
    cost = sweep_cost(budget.seconds_per_picture, chosen.plan.batch)
    if cost > SWEEP_SHARE * (budget.deadline - time.monotonic()):
        report.say(
            f"Learning rate: {high:g}, as configured. A sweep would take about {duration(cost)}, "
            f"which is more than {SWEEP_SHARE:.0%} of the time that is left."
        )
        return low, high
    report.say(f"Learning rate: a sweep chooses it and takes about {duration(cost)}.")
    suggestions = tuning.sweep(chosen.rig, report).suggestions()
    if not suggestions:
        report.say(f"Learning rate: {high:g}, as configured. The loss did not fall in the sweep.")
        return low, high
    name, rate = next(iter(suggestions.items()))
    report.say(f"Learning rate: {rate:.1e} ({name}).")
    return rate * low / high, rate


def is_worth_trying(head: Head, judges: int, config: FineTuneConfig, report: Reporter) -> bool:
    """Tell whether fine-tuning is wanted and pictures could show that it helps.

    Args:
        head: that it would have to beat.
        judges: how many pictures would tell.
        config: the recipe.
        report: hears why not.
    """
    if config.when == "never":
        return False
    if judges == 0:
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
