"""The logistic regression against scikit-learn's, in both ways it is computed."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.linear_model import LogisticRegression

from retrain.training import regression
from retrain.training.regression import Point, Regression


def blobs(count: int, seed: int, width: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return features [n, width] around three centres, far from zero and of unlike scales."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(0).normal(0, 2, (3, width))
    features = centres[labels] + rng.normal(0, 1, (count, width))
    features = features * np.logspace(-2, 2, width) + 50
    features[:, 3] = 7.0  # a dead feature
    return features.astype(np.float32), labels


@pytest.fixture(params=["copied", "not copied"])
def size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "not copied":
        monkeypatch.setattr(regression, "COPIED", 0)
    return str(request.param)


@pytest.mark.usefixtures("size")
def test_the_gradient_is_that_of_the_loss() -> None:
    features, labels = blobs(30, seed=1)
    problem = Regression([features], labels, 3, np.array([0.5, 1.0, 2.0]))
    stretch = np.linspace(0.5, 2, len(problem.variance))[:, None]
    position = np.random.default_rng(2).normal(0, 0.1, (len(stretch) + 1) * 3)

    def loss(at: np.ndarray) -> float:
        return problem.loss_and_gradient(at, 0.1, stretch, 1.5)[0]

    def gradient(at: np.ndarray) -> np.ndarray:
        return problem.loss_and_gradient(at, 0.1, stretch, 1.5)[1]

    assert check_grad(loss, gradient, position, epsilon=3e-3) < 2e-2


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("width", [8, 200])  # fewer features than pictures, and more
@pytest.mark.parametrize("weighted", [False, True])
def test_the_optimum_is_that_of_scikit_learn(width: int, weighted: bool) -> None:
    features, labels = blobs(90, seed=1, width=width)
    weights = np.array([0.5, 1.0, 2.0]) if weighted else None
    share = np.ones(90) if weights is None else weights[labels]
    deviation = features.std(axis=0, dtype=np.float64)
    floor = 1e-6 + 1e-3 * deviation.mean()
    standard = (features - features.mean(axis=0)) / np.maximum(deviation, floor)
    peer = LogisticRegression(C=1 / (0.03 * share.sum()), tol=1e-9, max_iter=5000)
    peer.fit(standard, labels, sample_weight=share)
    parts = [features[:20], features[20:20], features[20:]]
    problem = Regression(parts, labels, 3, weights)
    head = problem.linear(problem.solve(0.03, None, 500))
    wanted = peer.predict_proba(standard)
    answers = np.exp(head.logits(features))
    np.testing.assert_allclose(answers / answers.sum(axis=1, keepdims=True), wanted, atol=5e-3)


def test_where_the_search_starts_does_not_matter() -> None:
    features, labels = blobs(90, seed=1)
    problem = Regression([features], labels, 3)
    cold = problem.solve(0.01, None, 500)
    warm = problem.solve(0.01, problem.solve(1.0, None, 500), 500)
    np.testing.assert_allclose(warm.weights, cold.weights, atol=0.02)


def test_pictures_that_are_all_alike_are_told_by_their_numbers_alone() -> None:
    labels = np.array([0, 0, 0, 1])
    problem = Regression([np.ones((4, 5), np.float32)], labels, 2)
    point: Point = problem.solve(0.1, None, 100)
    logits = problem.linear(point).logits(np.ones((1, 5), np.float32))[0]
    assert logits[0] - logits[1] == pytest.approx(np.log(3), abs=0.01)
