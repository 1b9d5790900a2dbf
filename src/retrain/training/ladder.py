"""How much of the network fine-tuning trains: the ladder of rungs, chosen by the clock.

Rungs differ in how many layer groups train. Below these, each view of a picture is computed once
and kept. The highest rung that has the time for enough of its steps is taken: docs/recipes.md has
the measurements, docs/time.md the explanation.
"""

import math
import time
from dataclasses import dataclass
from statistics import median

from retrain.progress import Reporter, counted, duration
from retrain.training.learner import Learner
from retrain.training.pipeline import Sampler
from retrain.training.plan import (
    LEAST_STEPS,
    PASSES,
    ROUNDS,
    SPARE,
    Pace,
    Plan,
    affordable_steps,
    batch_size,
    names_of,
    wanted_steps,
)
from retrain.training.schedules import MOMENTA
from retrain.training.store import Stores
from retrain.training.task import Budget
from retrain.training.tuning import SHOWN, Rig, Tuning

RUNGS = (3, 2)  # layer groups that train
VIEWS = 4  # stored views of each picture, at most
ENOUGH = 0.7  # of its steps that a rung must have time for, or the next one is taken
FEWEST = LEAST_STEPS // 10  # steps; fewer are no training
TIMED = 3  # steps, after one that compiles
TOGETHER = 0.7  # of a machine's speed that each further one of a team is expected to add
TRAINING_COST = 4.0  # a step with all layers against a forward pass
# Of that, what a step costs above frozen layers, by the share of groups that train. Rough: it only
# tells which rungs are worth timing.
ABOVE = {5: 1.0, 4: 0.8, 3: 0.45, 2: 0.25, 1: 0.15}


@dataclass(frozen=True)
class Chosen:
    """A plan, and the rig that was timed for it."""

    plan: Plan
    rig: Rig


def rungs(tuning: Tuning) -> list[int]:
    """Return how many layer groups train on each rung, the highest first, where time matters.

    All layers are not among them: shown as many views, they learned no more than the last three
    groups (docs/recipes.md), and cost more than twice as much.
    """
    every = tuning.group_count()
    wanted = tuning.recipe.groups
    if wanted is not None:
        return [min(wanted, every)]
    return [count for count in RUNGS if count < every] or [every]


def build(tuning: Tuning, plan: Plan, stores: Stores) -> Rig:
    """Return the rig of a plan."""
    return tuning.rig(plan.groups, plan.views, plan.batch, plan.learning_rates, stores)


def untimed_plan(tuning: Tuning) -> Plan:
    """Return the plan where time does not matter: all layers, unless others are wanted."""
    return _wanted(tuning, tuning.recipe.groups or tuning.group_count())


def timed_plan(tuning: Tuning, budget: Budget, stores: Stores, report: Reporter) -> Chosen | None:
    """Choose a rung by timing real steps; None if there is no time for any.

    Args:
        tuning: what is to be trained.
        budget: the time there is.
        stores: keep what is made once, of the chosen rung alone.
        report: hears what was chosen, why, and what more minutes would buy.
    """
    best = None
    ladder = rungs(tuning)
    for groups in ladder:
        plan = _wanted(tuning, groups)
        rough = budget.seconds_per_picture * TRAINING_COST * ABOVE.get(groups, 1.0) * plan.batch
        left = budget.deadline - time.monotonic()
        last, fewest = groups == ladder[-1], min(FEWEST, plan.steps)
        if not last and left / rough < ENOUGH * plan.steps / 2:
            continue  # not worth timing
        if left / rough < fewest:
            break
        with report.bar("timing steps", 1) as advance:
            rig = build(tuning, plan, stores)
            pace = _pace(tuning, rig, plan, budget)
            advance(1)
        steps = affordable_steps(pace, plan.steps, budget.deadline - time.monotonic())
        if steps >= ENOUGH * plan.steps or (last and steps >= fewest):
            best = Chosen(_in_time(plan, pace, steps), rig)
            break
    if best is None:
        report.say(
            "Fine-tuning is left out: the time budget has room for hardly a step. `--minutes` "
            "allows more."
        )
        return None
    stores.keep_only(best.plan.groups)
    _tell(tuning, best.plan, budget, report)
    return best


def _wanted(tuning: Tuning, groups: int) -> Plan:
    """Return the plan of a rung that has all the time it wants."""
    recipe, count = tuning.recipe, len(tuning.learned_from.labels)
    stored = groups < tuning.group_count()
    passes = recipe.epochs or PASSES
    batch = batch_size(count, recipe.batch)
    at_least = 1 if recipe.epochs else LEAST_STEPS
    steps = wanted_steps(count, batch, passes, at_least=at_least)
    views = VIEWS if stored else 0
    return Plan(groups, views, batch, recipe.learning_rates, ((0, steps),))


def _in_time(plan: Plan, pace: Pace, steps: int) -> Plan:
    seconds = pace.seconds(0, steps) + ROUNDS * pace.round
    return Plan(
        plan.groups, plan.views, plan.batch, plan.learning_rates, ((0, steps),), pace, seconds
    )


def _pace(tuning: Tuning, rig: Rig, plan: Plan, budget: Budget) -> Pace:
    """Time real steps, which leave the model as it was; stored views stay stored."""
    shown = min(SHOWN, len(tuning.judged_by.labels))
    share = ABOVE.get(plan.groups, 1.0) if plan.views else 1.0
    check = shown * budget.seconds_per_picture * share
    with rig.learner.unchanged():
        rig.learner.set_pace(0.0, MOMENTA[0])
        team = tuning.task.team
        helpers = 1 + TOGETHER * (team.size - 1) if team else 1
        fresh = _seconds_a_step(rig.learner, rig.sampler) / helpers
        if not plan.views:
            return Pace(fresh, round=check)
        stored = _seconds_a_step(rig.learner, rig.sampler) / helpers
    fresh_steps = math.ceil(plan.views * len(tuning.learned_from.labels) / plan.batch)
    return Pace(fresh, stored, fresh_steps, check)


def _seconds_a_step(learner: Learner, sampler: Sampler) -> float:
    """Return the median time of a step, pictures included."""
    seconds = []
    batches = sampler.batches(0)
    try:
        for _ in range(TIMED + 1):
            begun = time.monotonic()
            inputs, targets = next(batches)
            float(learner.step(inputs, targets))
            seconds.append(time.monotonic() - begun)
    finally:
        batches.close()
    return median(seconds[1:])


def _tell(tuning: Tuning, plan: Plan, budget: Budget, report: Reporter) -> None:
    """Say what was chosen, why, and what more minutes would buy."""
    count, ladder = len(tuning.learned_from.labels), rungs(tuning)
    passes = plan.steps * plan.batch / count
    report.say(
        f"Fine-tuning: {names_of(range(tuning.group_count()), plan.groups)}, "
        f"{counted(plan.steps, 'step')} of {counted(plan.batch, 'picture')} "
        f"({passes:.1f} visits to each), about {duration(plan.seconds or 0)}."
    )
    full = _wanted(tuning, ladder[0])
    assert plan.pace is not None
    if plan.groups == full.groups and plan.steps >= full.steps:
        return
    own = plan.pace.stored if plan.views else plan.pace.fresh
    step = own * ABOVE.get(full.groups, 1.0) / ABOVE.get(plan.groups, 1.0)
    needed = full.steps * step / SPARE
    more = needed - (budget.deadline - time.monotonic())
    minutes = tuning.task.config.minutes + budget.cycles * more / 60
    report.say(
        f"With --minutes {math.ceil(minutes)} there would be time for "
        f"{names_of(range(tuning.group_count()), full.groups)} and {counted(full.steps, 'step')}."
    )
