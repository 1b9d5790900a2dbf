"""The sentences of the two numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.evaluate.trust import (
    LARGE_DROP,
    beyond_these,
    is_large,
    like_these,
    not_judged,
    percent,
    with_more,
)

SHARES = st.floats(0, 1)


@given(SHARES, SHARES)
def test_an_interval_is_rounded_outwards(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    ends = [float(end) for end in percent(low, high).removesuffix(" %").split(" to ")]
    assert ends[0] / 100 <= low + 1e-7
    assert ends[-1] / 100 >= high - 1e-7
    assert all(0 <= end <= 100 for end in ends)


def test_no_interval_claims_that_everything_is_right_unless_it_is() -> None:
    assert like_these((0.9961, 0.9999)) == "On pictures like these: 99.6 to 100 % right."
    assert like_these((1.0, 1.0)) == "On pictures like these: 100 % right."


def test_a_large_drop_says_what_to_do() -> None:
    assert beyond_these(0.71, (0.65, 0.77), 0.25) == (
        "With groups of look-alike pictures left out, the head is right on 71 % (65 to 77): it "
        "may have learned the looks of a series. Add pictures of other series, or name the series."
    )


def test_a_small_drop_alarms_nobody() -> None:
    assert beyond_these(0.95, (0.93, 0.97), 0.01) == (
        "With groups of look-alike pictures left out, the head is right on 95 % (93 to 97): hardly "
        "less than with as many others left out."
    )


@pytest.mark.parametrize("drop", [-0.01, 0.0, LARGE_DROP - 1e-9])
def test_below_the_threshold_nothing_is_asked_for(drop: float) -> None:
    assert not is_large(drop)
    assert "Add pictures" not in beyond_these(0.9, (0.88, 0.92), drop)


def test_an_interval_without_width_is_not_written_twice() -> None:
    assert "100 %:" in beyond_these(1.0, (1.0, 1.0), 0.0)
    assert with_more(1.0, (1.0, 1.0), None) == "With twice the pictures: about 100 % right."


def test_of_what_is_too_uncertain_nothing_is_said() -> None:
    assert with_more(0.986, (0.72, 1.0), "elsa") is None
    assert with_more(0.9, (0.83, 0.97), None) == (
        "With twice the pictures: about 90 % right (83 to 97)."
    )


def test_categories_that_are_one_series_are_named() -> None:
    assert not_judged([]) is None
    found = not_judged(["a", "b"])
    assert found is not None
    assert found.startswith("No estimate is possible for 'a', 'b': all pictures of each belong")
