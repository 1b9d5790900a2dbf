"""The logistic regression on features."""

import math

import numpy as np
import pytest

from retrain.config import Balance, HeadConfig
from retrain.metrics import softmax
from retrain.progress import Silent
from retrain.training.balance import category_weights
from retrain.training.head import Head, best_head, fit_head

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


CONFIG = HeadConfig()


def fitted(train: Data, valid: Data, config: HeadConfig = CONFIG) -> Head:
    keys = [f"{i:02}" for i in range(len(train[1]))]
    return best_head(fit_head(train, valid, keys, 3, config, None, Silent()))


def nothing(data: Data) -> Data:
    return data[0][:0], data[1][:0]


def test_the_head_finds_what_can_be_found() -> None:
    train, valid = blobs(300, seed=1), blobs(90, seed=2)
    head = fitted(train, valid)
    assert head.error_rate < 0.1
    np.testing.assert_allclose(head.logits(valid[0]), valid[0] @ head.kernel + head.bias, rtol=1e-5)


@pytest.mark.parametrize("few", [True, False])
def test_a_stronger_penalty_is_chosen_for_noisier_data(few: bool) -> None:
    config = HeadConfig(enough_to_judge=1000 if few else 1)
    clean = fitted(blobs(300, 1, 0.1), blobs(90, 2, 0.1), config)
    noisy = fitted(blobs(30, 1, 9.0), blobs(90, 2, 9.0), config)
    assert noisy.penalty > clean.penalty
    source = "training, cross-fitted" if few else "validation"
    assert clean.calibration.source == source
    assert clean.calibration.pictures == (300 if few else 90)


def test_without_validation_data_training_pictures_judge() -> None:
    train = blobs(60, seed=1)
    head = fitted(train, nothing(train))
    assert math.isnan(head.valid_loss)
    assert math.isfinite(head.judged_loss)
    assert head.calibration.pictures == 60


def test_where_nothing_can_judge_the_middle_penalty_is_taken() -> None:
    train = blobs(3, seed=1)  # one key a category: none can be held out
    head = fitted(train, nothing(train))
    assert head.penalty == HeadConfig().strengths[len(HeadConfig().strengths) // 2]
    assert head.calibration.temperature == 1.0


def test_weights_do_not_change_how_often_a_category_is_expected() -> None:
    features = np.concatenate(
        [np.full((95, 1), -1.0), np.full((95, 1), 1.0), np.full((10, 1), 1.0)]
    )
    labels = np.repeat([0, 1], [190, 10])
    weights = category_weights(labels, 2, "auto")
    assert weights is not None
    assert weights[labels].mean() == pytest.approx(1.0)
    shares = []
    for used in (None, weights):
        data = (features.astype(np.float32), labels)
        keys = [str(i) for i in range(len(labels))]
        head = fit_head(data, nothing(data), keys, 2, HeadConfig((1e-4,)), used, Silent())[0]
        shares.append(softmax(head.logits(np.ones((1, 1), np.float32)))[0, 1])
    for share in shares:
        assert share == pytest.approx(10 / 105, abs=0.02)  # as often as it is seen there


@pytest.mark.parametrize(
    ("counts", "when", "weighted"),
    [
        ((30, 10), "auto", False),
        ((31, 10), "auto", True),
        ((10, 10), "always", True),
        ((90, 3), "never", False),
    ],
)
def test_weights_are_used_where_they_are_asked_for(
    counts: tuple[int, int], when: Balance, weighted: bool
) -> None:
    labels = np.repeat([0, 1], counts)
    assert (category_weights(labels, 2, when) is not None) == weighted
