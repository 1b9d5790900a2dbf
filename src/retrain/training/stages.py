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
from retrain.training.plan import Plan, for_all
from retrain.training.task import Budget
from retrain.training.tuning import Rig, Tuning

SWEEP_SHARE = 0.1  # of the time left that a sweep for the learning rate may cost


def fine_tune(
    tuning: Tuning,
    head: Head,
    budget: Budget,
    checkpoints: Checkpoints,
    report: Reporter,
    *,
    log: Log,
) -> tuple[keras.Model, Progress] | None:
    """Train the last layer groups on augmented pictures, for one cycle of the learning rate.

    Args:
        tuning: the model, the pictures and the recipe.
        head: the head of that model, which tells whether there is anything to gain.
        budget: the time that decides how much is trained, and for how long.
        checkpoints: the state of an interrupted training, and where the state is kept.
        report: hears the plan, and shows bars and rows.
        log: hears of each step and round.

    Returns:
        The tuned model and how far it came; None if it was not worth starting, for a reason that
        `report` was told. The model is under the configured precision and has the weights of its
        last step; its logits are still shifted by the weights of categories.
    """
    if not _is_worth_trying(head, len(tuning.judged_by.labels), tuning.recipe, report):
        return None
    chosen = _chosen(tuning, budget, checkpoints, report)
    if chosen is None:
        return None
    rig = chosen.rig
    progress = fit(
        rig.learner,
        rig.sampler,
        rig.validation,
        Course(chosen.plan, budget.deadline),
        checkpoints,
        report,
        log=log,
    )
    if progress.stopped:
        report.say(f"Fine-tuning stopped: {progress.stopped}.")
    return rig.trained(), progress


def refit(
    tuning: Tuning,
    head: Head,
    plan: Plan,
    budget: Budget,
    checkpoints: Checkpoints,
    report: Reporter,
    *,
    log: Log,
) -> tuple[keras.Model, Progress] | None:
    """Train once more by a plan that has proved good, on all pictures; None if it cannot be.

    Args:
        tuning: what the plan was tried on.
        head: of all pictures.
        plan: as it was followed.
        budget: the time there is.
        checkpoints: of this training, not of the one before.
        report: hears why it is not done, and shows bars and rows.
        log: hears of each step and round.
    """
    everything = tuning.of_all(head)
    some, every = (len(those.learned_from.labels) for those in (tuning, everything))
    before = checkpoints.progress()
    wanted = before.plan if before else for_all(plan, some, every)
    left = budget.deadline - time.monotonic()
    if not before and wanted.seconds is not None and wanted.seconds > left:
        report.say(
            f"The model is not trained once more on all {counted(every, 'picture')}: that would "
            f"take about {duration(wanted.seconds)}, and the time budget has less than that left."
        )
        return None
    report.say(
        f"Training once more on all {counted(every, 'picture')}, also those that judged: "
        f"{counted(wanted.steps, 'step')}."
    )
    rig = build(everything, wanted, budget.disk, report)
    course = Course(wanted, budget.deadline, "refit")
    progress = fit(rig.learner, rig.sampler, None, course, checkpoints, report, log=log)
    if not progress.finished:
        report.say(f"The model that was judged is kept: {progress.stopped}.")
        return None
    return rig.trained(), progress


def _chosen(
    tuning: Tuning, budget: Budget, checkpoints: Checkpoints, report: Reporter
) -> Chosen | None:
    """Return the plan to follow and its rig: an interrupted training's, or a new one."""
    before = checkpoints.progress()
    if before:
        report.say(f"Fine-tuning: going on after step {before.step} of {before.plan.steps}.")
        return Chosen(before.plan, build(tuning, before.plan, budget.disk, report))
    if math.isinf(budget.deadline):
        plan = untimed_plan(tuning)
        report.say(
            f"Fine-tuning: {counted(plan.steps, 'step')} of {counted(plan.batch, 'picture')}."
        )
        chosen: Chosen | None = Chosen(plan, build(tuning, plan, budget.disk, report))
    else:
        chosen = timed_plan(tuning, budget, report)
    if chosen and tuning.recipe.find_rate:
        rates = _found_rates(tuning, chosen.rig, chosen.plan.batch, budget, report)
        plan = replace(chosen.plan, learning_rates=rates)
        return Chosen(plan, build(tuning, plan, budget.disk, report))
    return chosen


def sweep_cost(seconds_per_picture: float, batch: int) -> float:
    """Return about how many seconds a sweep takes."""
    return seconds_per_picture * TRAINING_COST * SWEEP_STEPS * batch


def _found_rates(
    tuning: Tuning, rig: Rig, batch: int, budget: Budget, report: Reporter
) -> tuple[float, float]:
    """Return the learning rates that a sweep suggests, or the configured ones; say why."""
    low, high = tuning.recipe.learning_rates
    cost = sweep_cost(budget.seconds_per_picture, batch)
    if cost > SWEEP_SHARE * (budget.deadline - time.monotonic()):
        report.say(
            f"Learning rate: {high:g}, as configured. A sweep would take about {duration(cost)}, "
            f"which is more than {SWEEP_SHARE:.0%} of the time that is left."
        )
        return low, high
    report.say(f"Learning rate: a sweep chooses it and takes about {duration(cost)}.")
    suggestions = tuning.sweep(rig, report).suggestions()
    if not suggestions:
        report.say(f"Learning rate: {high:g}, as configured. The loss did not fall in the sweep.")
        return low, high
    name, rate = next(iter(suggestions.items()))
    report.say(f"Learning rate: {rate:.1e} ({name}).")
    return rate * low / high, rate


def _is_worth_trying(head: Head, valid: int, config: FineTuneConfig, report: Reporter) -> bool:
    """Tell whether fine-tuning is wanted and pictures could show that it helps."""
    if config.when == "never":
        return False
    if valid == 0:
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
