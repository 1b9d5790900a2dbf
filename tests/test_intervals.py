"""Intervals for pictures in groups: what must hold of all, and coverage on drawn groups."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.intervals import cross_fitted_share, effective_pictures, share_of_groups
from retrain.metrics import wilson_interval

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
