"""Who judges the contest between head and fine-tuning, and what their answers decide."""

import numpy as np
import pytest

from retrain.training.answers import Answers, has_lost, is_better
from retrain.training.calibration import TUNED, likely_temperature


def answers(folds: list[int], certain: float = 4.0) -> Answers:
    """Return right answers of two categories, in these folds, but for the first of each fold."""
    fold, labels = np.array(folds), np.arange(len(folds)) % 2
    logits = certain * np.eye(2, dtype=np.float32)[labels]
    for number in set(folds):
        first = int(np.argmax(fold == number))
        logits[first] = logits[first, ::-1]
    return Answers(fold, np.arange(len(folds)), logits, labels, prior=TUNED)


def test_a_fold_is_judged_at_the_temperature_of_the_others() -> None:
    found = answers([0] * 30 + [1] * 10)
    scores, own = found.probabilities(), found.fold == 1
    warmth = likely_temperature(found.logits[~own], found.labels[~own], TUNED)
    expected = 1 / (1 + np.exp(-4 / warmth))
    assert scores[own].max() == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_a_single_fold_is_judged_at_its_own_temperature() -> None:
    found = answers([3] * 20)
    assert found.folds == [3]
    expected = 1 / (1 + np.exp(-4 / found.temperature()))
    assert found.probabilities().max() == pytest.approx(expected, abs=1e-4)


def test_any_mean_gain_decides_however_few_judge() -> None:
    assert is_better(np.array([0.3, -0.1, -0.1]))
    assert not is_better(np.array([0.1, -0.3, 0.1]))
    assert not is_better(np.zeros(5))  # the simpler model stays
    assert not is_better(np.zeros(0))


def test_a_contest_that_is_lost_beyond_chance_needs_no_more_judges() -> None:
    assert has_lost(np.array([-0.3, -0.2, -0.3, 0.1]))
    assert not has_lost(np.array([-0.5, 0.4, -0.1, 0.1]))
