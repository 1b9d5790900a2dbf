"""The logistic regression on features."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from retrain.config import Balance, HeadConfig
from retrain.metrics import error_rate, softmax
from retrain.progress import Reporter, Silent
from retrain.training.balance import category_weights
from retrain.training.folds import assign_folds
from retrain.training.head import Head, fit_head
from retrain.training.labelled import Labelled

CONFIG = HeadConfig()


def blobs(count: int, seed: int, spread: float = 1.0) -> Labelled:
    """Return features [n, 8] around three centres, far from zero and of unlike scales."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(0).normal(0, 2, (3, 8))
    features = centres[labels] + rng.normal(0, spread, (count, 8))
    features = features * np.logspace(-2, 2, 8) + 50
    features[:, 3] = 7.0  # a dead feature
    return Labelled([], features.astype(np.float32), labels)


def fitted(
    train: Labelled,
    config: HeadConfig = CONFIG,
    weights: NDArray[np.float64] | None = None,
    report: Reporter | None = None,
) -> Head:
    keys = [f"{i:02}" for i in range(len(train.labels))]
    folds = assign_folds(keys, train.labels, config.folds)
    return fit_head(train, folds, keys, config, weights, report or Silent())


def test_the_head_finds_what_can_be_found() -> None:
    head, new = fitted(blobs(300, seed=1)), blobs(90, seed=2)
    logits = head.logits(new.features)
    assert error_rate(logits, new.labels) < 0.1
    assert head.chosen.error_rate < 0.1
    np.testing.assert_allclose(logits, new.features @ head.kernel + head.bias, rtol=1e-5)


def test_a_stronger_penalty_is_chosen_for_noisier_data() -> None:
    clean, noisy = fitted(blobs(300, 1, 0.1)), fitted(blobs(60, 1, 9.0))
    assert noisy.chosen.penalty > clean.chosen.penalty


def test_all_pictures_calibrate_it_and_each_was_judged_by_a_head_without_it() -> None:
    head = fitted(blobs(60, seed=1))
    assert (head.calibration.source, head.calibration.pictures) == ("cross-fitted", 60)
    assert math.isfinite(head.chosen.judged_loss)
    assert head.calibration.temperature == head.chosen.temperature


def test_there_is_a_row_of_the_history_for_each_penalty() -> None:
    told: list[float] = []

    class Rows(Silent):
        def table(self, columns: Sequence[str]) -> Callable[[Sequence[str]], None]:
            assert columns[0] == "penalty"
            return lambda cells: told.append(float(cells[0]))

    head = fitted(blobs(60, seed=1), report=Rows())
    rows = head.rows()
    assert [row.penalty for row in rows] == told == [t.penalty for t in head.crossed.trials]
    assert [row.epoch for row in rows] == list(range(1, len(rows) + 1))
    assert {row.stage for row in rows} == {"head"}
    losses = [row.valid_loss for row in rows if row.valid_loss is not None]
    assert min(losses) == head.chosen.judged_loss


def test_where_nothing_can_judge_the_middle_penalty_is_taken() -> None:
    head = fitted(blobs(3, seed=1))  # one key a category: none can be held out
    assert head.chosen.penalty == CONFIG.strengths[len(CONFIG.strengths) // 2]
    assert (head.calibration.temperature, head.calibration.pictures) == (1.0, 0)
    assert not head.crossed.judged.any()


def test_weights_do_not_change_how_often_a_category_is_expected() -> None:
    features = np.concatenate(
        [np.full((95, 1), -1.0), np.full((95, 1), 1.0), np.full((10, 1), 1.0)]
    )
    labels = np.repeat([0, 1], [190, 10])
    weights = category_weights(labels, 2, "auto")
    assert weights is not None
    assert weights[labels].mean() == pytest.approx(1.0)
    train = Labelled([], features.astype(np.float32), labels)
    for used in (None, weights):
        head = fitted(train, HeadConfig((1e-4,)), used)
        linears = [head.chosen.head, *head.crossed.heads.values()]
        for linear in linears:
            share = softmax(linear.logits(np.ones((1, 1), np.float32)))[0, 1]
            assert share == pytest.approx(10 / 105, abs=0.03)  # as often as it is seen there


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
