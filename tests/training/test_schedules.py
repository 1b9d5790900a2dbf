"""One cycle and layer-wise rates."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.training.schedules import END, MOMENTA, RISE, START, group_rates, momentum, rate_share

STEPS = st.integers(2, 5000)


@given(st.integers(200, 5000))
def test_one_cycle_starts_low_peaks_early_and_ends_at_nothing(steps: int) -> None:
    shares = [rate_share(step, steps) for step in range(steps)]
    assert shares[0] == pytest.approx(START, abs=0.01)
    assert shares[-1] == pytest.approx(END, abs=1e-4)
    assert all(END <= share <= 1 for share in shares)
    peak = shares.index(max(shares))
    assert abs(peak - RISE * steps) <= 1
    assert shares[:peak] == sorted(shares[:peak])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)


@given(STEPS)
def test_momentum_falls_where_the_rate_rises(steps: int) -> None:
    rates = [rate_share(step, steps) for step in range(steps)]
    betas = [momentum(step, steps) for step in range(steps)]
    assert all(MOMENTA[1] <= beta <= MOMENTA[0] for beta in betas)
    for (rate, later), (beta, then) in zip(
        itertools.pairwise(rates), itertools.pairwise(betas), strict=True
    ):
        assert (later - rate) * (then - beta) <= 0


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_few_steps_are_a_training_too(steps: int) -> None:
    assert max(rate_share(step, steps) for step in range(steps)) > 0.5


def test_rates_of_groups_are_a_geometric_series() -> None:
    rates = group_rates(1e-5, 1e-3, 5)
    ratios = [b / a for a, b in itertools.pairwise(rates)]
    assert rates[0] == pytest.approx(1e-5)
    assert rates[-1] == pytest.approx(1e-3)
    assert ratios == pytest.approx([ratios[0]] * 4)
    assert group_rates(1e-5, 1e-3, 1) == [1e-3]
