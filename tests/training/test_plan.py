"""Plans: how many steps fit, and how a cycle is shortened to end in time."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.training.plan import (
    LEAST_STEPS,
    ROUNDS,
    SPARE,
    Pace,
    Plan,
    affordable_steps,
    again,
    batch_size,
    in_time,
    wanted_steps,
)

SECONDS = st.floats(0.01, 10)
PLAN = Plan(2, 4, 32, (1e-4, 1e-3), ((0, 300),), Pace(2.0, 0.5, 40, 3.0), 250.0)


@pytest.mark.parametrize(
    ("pictures", "wanted", "size"),
    [
        (5, None, 5),
        (129, None, 16),
        (300, None, 32),
        (9000, None, 32),
        (9000, 64, 64),
        (20, 64, 20),
    ],
)
def test_few_pictures_make_small_batches(pictures: int, wanted: int | None, size: int) -> None:
    assert batch_size(pictures, wanted) == size


def test_small_sets_get_some_hundred_steps_and_large_ones_their_passes() -> None:
    assert wanted_steps(129, 16, 8) == LEAST_STEPS
    assert wanted_steps(10_000, 32, 8) == 2500
    assert wanted_steps(129, 16, 2, at_least=1) == math.ceil(129 * 2 / 16)


@given(SECONDS, SECONDS, st.integers(0, 50), st.integers(0, 50), st.integers(0, 60))
def test_steps_in_a_time_are_the_most_that_take_no_longer(
    fresh: float, stored: float, fresh_steps: int, first: int, more: int
) -> None:
    pace = Pace(fresh, stored, fresh_steps)
    steps = pace.steps_in(pace.seconds(first, first + more) + 1e-6, first)
    assert steps >= more
    assert pace.seconds(first, first + steps) <= pace.seconds(first, first + more) + 1e-5


def test_rounds_cost_time_too_and_some_is_spared() -> None:
    pace = Pace(1.0, round=2.0)
    assert affordable_steps(pace, 1000, 100.0) == int(SPARE * 100 - ROUNDS * 2)
    assert affordable_steps(pace, 1000, math.inf) == 1000
    assert affordable_steps(pace, 10, 1000.0) == 10
    assert affordable_steps(pace, 10, 1.0) == 0


def test_a_cycle_that_ends_in_time_stays_as_it_is() -> None:
    assert in_time(Pace(1.0), 50, 100, 1.0, 50.0) == 100


@given(st.integers(1, 99), st.floats(1.0, 9.0), st.floats(0.0, 200.0))
def test_a_slow_machine_shortens_the_cycle_to_what_it_can_do(
    step: int, slowdown: float, left: float
) -> None:
    pace = Pace(2.0, 1.0, 30, 0.5)
    steps = in_time(pace, step, 100, slowdown, left)
    assert step < steps <= 100
    if steps > step + 1:
        assert slowdown * pace.seconds(step, steps) <= left + 1e-6


def test_stored_views_are_expected_to_be_cheaper() -> None:
    pace = Pace(2.0, 0.5, 40)
    assert pace.seconds(0, 300) == 40 * 2.0 + 260 * 0.5
    assert in_time(pace, 20, 300, 1.0, 20 * 2.0 + 260 * 0.5) == 300


def test_the_plan_knows_how_long_the_cycle_was_at_each_step() -> None:
    plan = PLAN.resized(100, 200).resized(150, 180)
    assert plan.steps == 180
    assert [plan.total_at(step) for step in (0, 99, 100, 149, 150, 179)] == [
        *(300, 300, 200, 200, 180, 180)
    ]


def test_all_pictures_are_learned_as_often_as_some_were() -> None:
    some = PLAN.resized(100, 200)
    plan = again(some, 100, 125, new=25)
    fresh = math.ceil(25 * PLAN.views / PLAN.batch)
    assert plan.totals == ((0, 250),)
    assert plan.pace == Pace(2.0, 0.5, fresh, 0.0)
    assert plan.seconds == fresh * 2.0 + (250 - fresh) * 0.5
    assert again(some, 100, 100, new=0).seconds == 200 * 0.5  # all views were made before
    assert again(Plan(5, 0, 16, (1, 2), ((0, 8),)), 4, 5, new=1).steps == 10


@pytest.mark.parametrize("plan", [PLAN, PLAN.resized(9, 20), Plan(5, 0, 16, (1, 2), ((0, 7),))])
def test_a_plan_is_read_as_it_was_written(plan: Plan) -> None:
    assert Plan.read(json.loads(json.dumps(plan.as_dict()))) == plan


@pytest.mark.parametrize("values", [{}, {"epochs": 8, "learning_rates": [1e-4, 1e-3]}])
def test_what_is_no_plan_is_refused(values: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Plan.read(values)
