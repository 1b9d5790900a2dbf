"""Cross-fitting: nobody judges himself, the search for a penalty ends, optimism is found."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.config import HeadConfig
from retrain.training.calibration import fit_temperature
from retrain.training.crossfit import CrossFitted, cross_fit, walk
from retrain.training.examples import Examples
from retrain.training.folds import assign_folds
from retrain.training.optimism import optimism
from retrain.training.regression import Regression

CONFIG = HeadConfig()


def blobs(count: int, seed: int = 0, spread: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(9).normal(0, 1, (3, 12))
    features = centres[labels] + rng.normal(0, spread, (count, 12))
    return features.astype(np.float32), labels


def crossed(
    features: np.ndarray, labels: np.ndarray, groups: list[str] | None = None
) -> CrossFitted:
    groups = groups or [str(i) for i in range(len(labels))]
    fold = assign_folds(groups, labels, 5).of_picture
    return cross_fit(Examples(features, labels, groups), fold, CONFIG)


def test_each_answer_is_of_a_head_without_the_fold() -> None:
    features, labels = blobs(60)
    found = crossed(features, labels)
    for number, head in found.heads.items():
        own = found.fold == number
        alone = Regression([features[~own]], labels[~own], 3)
        again = alone.linear(alone.solve(found.chosen.penalty, None, 500))
        np.testing.assert_allclose(head.logits(features), again.logits(features), atol=0.05)
        np.testing.assert_allclose(found.logits[own], head.logits(features[own]), atol=1e-4)


@pytest.fixture(scope="module")
def forty() -> CrossFitted:
    return crossed(*blobs(40))


@given(st.integers(0, 4), st.integers(0, 1000))
def test_the_temperature_of_a_fold_does_not_depend_on_its_pictures(
    forty: CrossFitted, fold: int, seed: int
) -> None:
    rng, labels, found = np.random.default_rng(seed), blobs(40)[1], forty
    own = found.fold == fold
    others = (found.fold != fold) & found.judged
    assert found.temperatures[fold] == fit_temperature(found.logits[others], labels[others])
    shuffled = labels.copy()
    shuffled[own] = rng.permutation(labels[own])
    assert found.temperatures[fold] == fit_temperature(found.logits[others], shuffled[others])


def test_probabilities_are_calibrated_fold_by_fold() -> None:
    features, labels = blobs(60)
    found = crossed(features, labels)
    answers = found.probabilities()
    np.testing.assert_allclose(answers.sum(axis=1), 1.0, atol=1e-5)
    own = found.fold == 2
    powers = np.exp(found.logits[own] / found.temperatures[2])
    wanted = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers[own], wanted, rtol=1e-4)


def test_a_category_that_is_one_group_is_learned_from_but_not_judged() -> None:
    features, labels = blobs(45)
    groups = ["film" if label == 2 else str(i) for i, label in enumerate(labels)]
    found = crossed(features, labels, groups)
    assert (found.judged == (labels != 2)).all()
    assert np.isnan(found.logits[labels == 2]).all()
    assert np.isnan(found.probabilities()[labels == 2]).all()
    for head in found.heads.values():
        assert (head.logits(features[labels == 2]).argmax(axis=1) == 2).mean() > 0.7


def test_two_pictures_a_category_are_judged() -> None:
    features, labels = blobs(6, spread=0.1)
    found = crossed(features, labels)
    assert found.judged.all()
    assert math.isfinite(found.chosen.judged_loss)


def test_where_nobody_can_judge_the_middle_penalty_is_taken() -> None:
    features, labels = blobs(3)
    found = crossed(features, labels)
    assert not found.judged.any()
    assert found.chosen.penalty == CONFIG.strengths[len(CONFIG.strengths) // 2]
    assert found.chosen.temperature == 1.0
    assert (found.optimism.accuracy, found.optimism.log_loss) == (0.0, 0.0)


def test_the_same_numbers_come_out_again() -> None:
    features, labels = blobs(60)
    first, second = crossed(features, labels), crossed(features, labels)
    np.testing.assert_array_equal(first.logits, second.logits)
    assert first.optimism == second.optimism


def tried(
    loss: Callable[[float], float], grid: tuple[float, ...] = CONFIG.strengths
) -> list[float]:
    penalties: list[float] = []

    def loss_at(penalty: float) -> float:
        penalties.append(penalty)
        return loss(penalty)

    walk(grid, loss_at)
    return penalties


def test_the_search_stops_behind_the_best() -> None:
    assert tried(lambda p: 1 + abs(math.log10(p / 0.1))) == [0.3, 0.1, 0.03, 0.01]


def test_the_search_goes_on_where_the_best_is_at_an_end() -> None:
    weak = tried(lambda p: 10 + math.log10(p) if p > 2e-5 else 99)
    assert weak[-2:] == [1e-05, 3e-06]
    strong = tried(lambda p: 1 + abs(math.log10(p / 10)))
    assert max(strong) > 10
    assert strong[:3] == [0.3, 0.1, 0.03]


def test_the_search_ends_where_every_penalty_is_better_than_the_one_before() -> None:
    assert min(tried(lambda p: 1e9 * p)) >= 1e-7
    assert max(tried(lambda p: 1 / p)) <= 1e3


def test_one_penalty_alone_is_kept_to() -> None:
    assert tried(lambda p: p, (0.01,)) == [0.01]


def test_choosing_among_heads_that_guess_is_seen_through() -> None:
    rng = np.random.default_rng(0)
    groups = [str(i) for i in range(100)]
    gaps = []
    for _ in range(15):  # twenty heads, each right by chance half the time
        right = rng.random((20, 100)) < 0.5
        losses = 1.0 - right
        chosen = int(losses.mean(axis=1).argmin())
        gaps.append(right[chosen].mean() - optimism(losses, right, groups, chosen).accuracy)
    assert np.mean(gaps) == pytest.approx(0.5, abs=0.04)  # the best says .59


def test_a_head_that_is_clearly_the_best_is_no_lucky_choice() -> None:
    rng = np.random.default_rng(0)
    right = np.stack([rng.random(200) < share for share in (0.5, 0.95, 0.5)])
    found = optimism(1.0 - right, right, [str(i) for i in range(200)], 1)
    assert (found.accuracy, found.log_loss) == (0.0, 0.0)


def test_pictures_of_one_group_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random((20, 10)) < 0.5, 10, axis=1)
    groups = np.repeat([str(i) for i in range(10)], 10).tolist()
    chosen = int(right.mean(axis=1).argmax())
    together = optimism(1.0 - right, right, groups, chosen).accuracy
    apart = optimism(1.0 - right, right, [str(i) for i in range(100)], chosen).accuracy
    assert together > apart + 0.05
