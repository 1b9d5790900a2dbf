"""Intervals for pictures in groups: what must hold of all, and coverage on drawn groups."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.intervals import (
    Interval,
    cross_fitted_share,
    effective_pictures,
    figure_intervals,
    share_of_groups,
)
from retrain.metrics import evaluate, softmax, wilson_interval

ANSWERS = st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef")), min_size=1, max_size=60)


def columns(answers: list[tuple[bool, str]]) -> tuple[np.ndarray, list[str]]:
    return np.array([right for right, _ in answers]), [group for _, group in answers]


@given(ANSWERS)
def test_no_interval_is_narrower_than_that_of_as_many_strangers(
    answers: list[tuple[bool, str]],
) -> None:
    right, groups = columns(answers)
    found = share_of_groups(right, groups)
    low, high = wilson_interval(int(right.sum()), len(right))
    assert 1.0 <= found.effective <= len(right)
    assert found.interval[1] - found.interval[0] >= high - low - 1e-12
    assert found.interval[0] - 1e-12 <= found.share <= found.interval[1] + 1e-12


@given(ANSWERS)
def test_what_groups_are_called_and_the_order_do_not_matter(
    answers: list[tuple[bool, str]],
) -> None:
    right, groups = columns(answers)
    turned = share_of_groups(right[::-1], [f"group {group}" for group in groups[::-1]])
    assert turned.effective == pytest.approx(share_of_groups(right, groups).effective)


def test_pictures_without_relatives_count_in_full() -> None:
    right = np.array([True] * 90 + [False] * 10)
    found = share_of_groups(right, [str(i) for i in range(100)])
    assert found.effective == 100
    assert found.interval == wilson_interval(90, 100)
    assert (found.pictures, found.groups) == (100, 100)


def test_groups_that_fare_as_one_count_once_each() -> None:
    right = np.repeat(np.arange(50) % 5 > 0, 10)
    groups = np.repeat([str(i) for i in range(50)], 10).tolist()
    assert effective_pictures(right, groups) == pytest.approx(50, rel=0.05)


def test_groups_whose_pictures_fare_alone_cost_little() -> None:
    right = np.random.default_rng(0).random(2000) < 0.8
    groups = [str(i % 200) for i in range(2000)]
    assert effective_pictures(right, groups) > 1200


@pytest.mark.parametrize("mistakes", [0, 1])
def test_hardly_a_mistake_is_no_evidence_that_relatives_fare_alone(mistakes: int) -> None:
    right = np.array([i >= mistakes for i in range(100)])
    groups = [str(i // 10) for i in range(100)]
    assert effective_pictures(right, groups) < 20


def test_one_huge_group_among_small_ones_tells_little() -> None:
    right = np.array([True] * 95 + [False] * 5)
    groups = ["huge"] * 90 + [str(i) for i in range(10)]
    assert effective_pictures(right, groups) < 10


def test_optimism_is_taken_off_and_the_interval_widened() -> None:
    right = np.array([True] * 90 + [False] * 10)
    groups = [str(i) for i in range(100)]
    plain, wide = share_of_groups(right, groups), cross_fitted_share(right, groups, 0.02)
    assert wide.share == pytest.approx(0.88)
    assert wide.interval[0] < plain.interval[0] - 0.02
    assert wide.interval[1] - wide.interval[0] > 1.1 * (plain.interval[1] - plain.interval[0])


@given(ANSWERS)
def test_a_cross_fitted_interval_contains_the_plain_one(answers: list[tuple[bool, str]]) -> None:
    plain, wide = share_of_groups(*columns(answers)), cross_fitted_share(*columns(answers))
    assert wide.interval[0] <= plain.interval[0] + 1e-12
    assert wide.interval[1] >= plain.interval[1] - 1e-12


@given(st.integers(1, 200), st.booleans())
def test_the_share_is_in_its_interval_even_if_it_is_none_or_all(
    count: int, all_right: bool
) -> None:
    right, groups = np.full(count, all_right), [str(i // 2) for i in range(count)]
    for found in (share_of_groups(right, groups), cross_fitted_share(right, groups)):
        assert found.interval[0] <= found.share <= found.interval[1]


def test_without_pictures_nothing_is_known() -> None:
    nothing = share_of_groups(np.empty(0, bool), [])
    assert math.isnan(nothing.share)
    assert nothing.interval == cross_fitted_share(np.empty(0, bool), []).interval == (0.0, 1.0)


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_intervals_hold_for_groups_of_any_alikeness(alike: float) -> None:
    rng, held = np.random.default_rng(1), 0
    groups = np.repeat(np.arange(60), rng.integers(1, 8, 60))
    for _ in range(300):
        shared = rng.random(60)[groups] < 0.9
        alone = rng.random(len(groups)) < 0.9
        right = np.where(rng.random(60)[groups] < alike, shared, alone)
        low, high = share_of_groups(right, groups.astype(str).tolist()).interval
        held += low <= 0.9 <= high
    assert held / 300 >= 0.92


Answers = tuple[np.ndarray, np.ndarray, list[str]]  # probabilities, labels, groups


def answers_of(
    groups: int, each: int, seed: int, alike: float = 0.0, sharp: float = 2.5
) -> Answers:
    """Return answers about three categories; pictures of a group are of one and fare alike."""
    rng, index = np.random.default_rng(seed), np.repeat(np.arange(groups), each)
    labels = rng.integers(0, 3, groups)[index]
    shared, own = rng.normal(size=(groups, 3))[index], rng.normal(size=(len(index), 3))
    logits = alike * shared + math.sqrt(1 - alike**2) * own + sharp * np.eye(3)[labels]
    return softmax(1.3 * sharp * logits), labels, [str(group) for group in index]


def figures(answers: Answers) -> dict[str, float]:
    found = evaluate(*answers[:2], "abc")
    assert found is not None
    return {name: getattr(found, name) for name in ("macro_f1", "log_loss", "calibration_error")}


def intervals(answers: Answers) -> dict[str, Interval]:
    probabilities, labels, groups = answers
    right = probabilities.argmax(axis=1) == labels
    found = figure_intervals(*answers, cross_fitted_share(right, groups).interval)
    assert found is not None
    return found


@pytest.mark.parametrize(("groups", "each", "alike"), [(150, 1, 0.0), (50, 3, 0.8)])
def test_intervals_of_other_figures_hold(groups: int, each: int, alike: float) -> None:
    truth = figures(answers_of(100_000, 1, 99))
    drawn = [intervals(answers_of(groups, each, seed, alike)) for seed in range(150)]
    for name, figure in truth.items():
        held = np.mean([one[name][0] <= figure <= one[name][1] for one in drawn])
        assert held >= 0.88, name


@given(st.integers(2, 40), st.integers(1, 3), st.integers(0, 99))
def test_each_figure_is_in_its_interval(groups: int, each: int, seed: int) -> None:
    answers = answers_of(groups, each, seed)
    for name, figure in figures(answers).items():
        low, high = intervals(answers)[name]
        assert low - 1e-6 <= figure <= high + 1e-6


def test_groups_widen_the_intervals_of_other_figures() -> None:
    probabilities, labels, groups = answers_of(40, 5, 0, alike=1.0)
    together = intervals((probabilities, labels, groups))
    alone = intervals((probabilities, labels, [str(i) for i in range(len(labels))]))
    for name, (low, high) in alone.items():
        assert together[name][1] - together[name][0] > high - low, name


def test_no_mistake_on_few_pictures_is_no_proof_of_none() -> None:
    found = intervals(answers_of(24, 1, 0, sharp=8.0))
    assert found["macro_f1"][0] < 0.9
    assert found["log_loss"][1] > 0.05
    assert found["calibration_error"][1] > 0.05


def test_one_group_has_no_intervals() -> None:
    probabilities, labels, _ = answers_of(10, 1, 0)
    assert figure_intervals(probabilities, labels, ["one"] * 10, (0.5, 1.0)) is None
