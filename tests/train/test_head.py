"""The logistic regression on features."""

import math

import numpy as np
from scipy.optimize import check_grad
from scipy.special import softmax

from retrain.config import HeadConfig
from retrain.progress import Silent
from retrain.train.head import _Problem, best_head, fit_head

Data = tuple[np.ndarray, np.ndarray]


def blobs(count: int, seed: int, spread: float = 1.0) -> Data:
    """Return features [n, 8] around three centres, far from zero and of unlike scales."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(0).normal(0, 2, (3, 8))
    features = centres[labels] + rng.normal(0, spread, (count, 8))
    features = features * np.logspace(-2, 2, 8) + 50
    features[:, 3] = 7.0  # a dead feature
    return features.astype(np.float32), labels


def test_the_gradient_is_that_of_the_loss() -> None:
    features, labels = blobs(30, seed=1)
    problem = _Problem(features.astype(np.float64), labels, 3)
    point = np.random.default_rng(2).normal(0, 0.1, problem.size)

    def loss(solution: np.ndarray) -> float:
        return problem.loss_and_gradient(solution, 0.1)[0]

    def gradient(solution: np.ndarray) -> np.ndarray:
        return problem.loss_and_gradient(solution, 0.1)[1]

    error = check_grad(loss, gradient, point, epsilon=1e-3)
    assert error < 1e-2


def test_the_head_finds_what_can_be_found() -> None:
    train, valid = blobs(300, seed=1), blobs(90, seed=2)
    head = best_head(fit_head(train, valid, 3, HeadConfig(), Silent()))
    assert head.error_rate < 0.1
    expected = softmax(valid[0] @ head.kernel + head.bias, axis=1)
    np.testing.assert_allclose(head.probabilities(valid[0]), expected, atol=1e-6)


def test_validation_loss_chooses_a_stronger_penalty_for_noisier_data() -> None:
    clean = best_head(fit_head(blobs(300, 1, 0.1), blobs(90, 2, 0.1), 3, HeadConfig(), Silent()))
    noisy = best_head(fit_head(blobs(30, 1, 9.0), blobs(90, 2, 9.0), 3, HeadConfig(), Silent()))
    assert noisy.penalty > clean.penalty


def test_without_validation_data_the_middle_penalty_is_taken() -> None:
    train = blobs(30, seed=1)
    empty = (train[0][:0], train[1][:0])
    head = best_head(fit_head(train, empty, 3, HeadConfig(), Silent()))
    assert math.isnan(head.valid_loss)
    assert head.penalty == HeadConfig().strengths[3]
