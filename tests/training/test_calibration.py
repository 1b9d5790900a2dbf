"""Temperatures, and what is believed to be better."""

import math

import numpy as np
import pytest

from retrain.metrics import calibration_error, log_loss, softmax
from retrain.training.calibration import (
    Prior,
    calibrated_loss,
    fit_temperature,
    likely_temperature,
)


def honest(count: int, seed: int = 0, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return logits [n, 3] times a scale, and labels drawn as their softmax says."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 3))
    labels = np.array([rng.choice(3, p=row / row.sum()) for row in softmax(logits)])
    return (logits * scale).astype(np.float32), labels


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_a_scale(scale: float) -> None:
    logits, labels = honest(4000, scale=scale)
    temperature = fit_temperature(logits, labels)
    assert temperature == pytest.approx(scale, rel=0.1)
    before, after = softmax(logits), softmax(logits, temperature)
    assert log_loss(after, labels) <= log_loss(before, labels)
    assert calibration_error(after, labels) < 0.03
    assert calibration_error(before, labels) > 0.05 or scale == 1.0


def test_a_few_pictures_without_a_mistake_do_not_make_it_certain() -> None:
    labels = np.arange(30) % 3
    for scale in (1, 4, 100):
        logits = np.eye(3, dtype=np.float32)[labels] * scale
        scores = softmax(logits, fit_temperature(logits, labels))
        assert scores.max() == pytest.approx(31 / 32, abs=1e-3)


def test_without_pictures_the_temperature_is_one() -> None:
    nothing = np.empty((0, 3), np.float32), np.empty(0, np.int64)
    assert fit_temperature(*nothing) == 1.0
    assert np.isnan(calibrated_loss(*nothing))


def test_a_scale_alone_is_no_improvement() -> None:
    logits, labels = honest(300)
    assert calibrated_loss(logits * 5, labels) == pytest.approx(
        calibrated_loss(logits, labels), abs=0.01
    )


def test_few_pictures_hardly_move_a_temperature_that_is_known_and_many_do() -> None:
    logits, labels = honest(3000)
    known = Prior(math.log(0.5), 0.25)
    hot = logits * 3  # three times too certain, so that a temperature of 3 suits them
    few = likely_temperature(hot[:4], labels[:4], known)
    many = likely_temperature(hot, labels, known)
    assert 0.4 < few < 1.7
    assert many == pytest.approx(3.0, rel=0.1)


def test_without_a_mistake_a_known_temperature_stays_about_what_it_was() -> None:
    logits = 5 * np.eye(3, dtype=np.float32)
    known = Prior(math.log(0.55), 0.25)
    assert likely_temperature(logits, np.arange(3), known) == pytest.approx(0.55, rel=0.05)
    assert fit_temperature(logits, np.arange(3)) > 1.5  # who knows nothing doubts
