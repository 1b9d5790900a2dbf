"""What decides whether int8 may guess, in numbers alone."""

import numpy as np
import pytest

from retrain.export.int8 import (
    choose_threshold,
    corrected_head,
    correction,
    measure_agreement,
    upper_95,
)
from retrain.metrics import margins

RANDOM = np.random.default_rng(0)


def logits(pictures: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return RANDOM.normal(0, 4, (pictures, 5)).astype(np.float32)


def test_a_corrected_head_takes_back_a_scale_and_an_offset_a_feature() -> None:
    exact = RANDOM.random((200, 8), np.float32)
    exact[:, 3] = 0.5  # a feature that never changes
    scale = RANDOM.uniform(0.5, 2, 8)
    quantised = np.asarray((exact - RANDOM.random(8)) / scale, np.float32)
    kernel, bias = RANDOM.random((8, 3), np.float32), RANDOM.random(3, np.float32)
    undone = correction(quantised, exact)
    assert np.allclose(quantised * undone[0] + undone[1], exact, atol=1e-4)
    found = corrected_head(undone, kernel, bias)
    assert [part.dtype for part in found] == [np.float32, np.float32]
    assert np.allclose(quantised @ found[0] + found[1], exact @ kernel + bias, atol=1e-4)


def test_second_looks_find_most_guesses_that_differ() -> None:
    exact = logits(2000)
    quantised = exact + RANDOM.normal(0, 0.5, exact.shape).astype(np.float32)
    differ = quantised.argmax(axis=1) != exact.argmax(axis=1)
    assert differ.sum() > 50
    found = margins(quantised)[differ] < choose_threshold(quantised, exact)
    assert found.mean() > 0.9


def test_the_threshold_is_what_quantisation_does_to_margins_though_no_guess_differs() -> None:
    exact = np.array([[9, 0], [0, 9], [8, 0]] * 50, np.float32)
    quantised = exact + np.array([0.25, -0.25], np.float32)
    assert choose_threshold(quantised, exact) == pytest.approx(0.5, abs=1e-5)
    assert measure_agreement(quantised, exact).second_looks == 0


def test_a_guess_that_differs_beyond_the_threshold_is_counted() -> None:
    exact = np.tile(np.array([[9, 0]], np.float32), (100, 1))
    quantised = exact.copy()
    quantised[37] = (0, 5)
    quantised[38] = (4, 4.001)  # a second look finds this one
    found = measure_agreement(quantised, exact + 0.1 * RANDOM.random((100, 2), np.float32))
    assert (found.pictures, found.disagreements) == (100, 1)
    assert 0.001 < found.threshold < 5
    assert found.second_looks == 0.01
    assert found.upper_95 == pytest.approx(upper_95(1, 100))


def test_the_bound_follows_the_rule_of_three_where_nothing_was_found() -> None:
    assert upper_95(0, 1000) == pytest.approx(3 / 1000, rel=0.01)
    assert upper_95(5, 1000) > 5 / 1000
    assert upper_95(3, 3) == 1
