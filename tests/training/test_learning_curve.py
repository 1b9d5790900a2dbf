"""Learning curves: they rise where pictures help, and say so no surer than they may."""

import numpy as np
import pytest

from retrain.config import HeadConfig
from retrain.intervals import cross_fitted_share
from retrain.training.crossfit import cross_fit
from retrain.training.examples import Examples
from retrain.training.folds import assign_folds
from retrain.training.learning_curve import LearningCurve, _laws, _part, learning_curve


def drawn(count: int, spread: float, groups: int | None = None, seed: int = 0) -> Examples:
    """Return pictures of three categories, the last two close to each other."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(9).normal(0, 1, (3, 60))
    centres[2] = centres[1] + np.random.default_rng(8).normal(0, 0.25, 60)
    features = centres[labels] + rng.normal(0, spread, (count, 60))
    names = [str(i % groups if groups else i) for i in range(count)]
    return Examples(features.astype(np.float32), labels, names)


def curve_of(examples: Examples) -> LearningCurve | None:
    fold = assign_folds(examples.groups, examples.labels, 5).of_picture
    return learning_curve(examples, cross_fit(examples, fold, HeadConfig()))


def test_a_doubling_is_foreseen() -> None:
    curve, twice, others = curve_of(drawn(150, 1.2)), drawn(300, 1.2), drawn(3000, 1.2, seed=1)
    assert curve is not None
    head = twice.rough_head(np.arange(300), 0.1)
    truth = (head.logits(others.features).argmax(axis=1) == others.labels).mean()
    assert list(curve.pictures) == sorted(curve.pictures)
    assert curve.accuracy[-1] > curve.accuracy[0]
    assert curve.interval[0] <= curve.doubled <= curve.interval[1]
    assert curve.doubled > curve.accuracy[-1]
    assert curve.interval[0] - 0.03 < truth < curve.interval[1] + 0.03


def test_the_category_that_is_hard_gains_most() -> None:
    curve = curve_of(drawn(150, 1.2))
    assert curve is not None
    assert curve.neediest in (1, 2)


def test_where_nothing_is_wrong_nothing_more_is_promised_than_can_be() -> None:
    curve = curve_of(drawn(60, 0.05))
    assert curve is not None
    assert 0.98 < curve.doubled <= curve.interval[1] <= 1.0


@pytest.mark.parametrize(("groups", "lower"), [(None, 0.86), (12, 0.75)])
def test_a_few_pictures_without_a_mistake_promise_no_more_than_they_show(
    groups: int | None, lower: float
) -> None:
    examples = drawn(24, 0.05, groups)
    curve = curve_of(examples)
    assert curve is not None
    assert curve.accuracy[-1] == 1.0
    today = cross_fitted_share(np.ones(24, bool), examples.groups).interval
    assert today[0] <= curve.interval[0] + 1e-9 < lower + 1e-9
    assert curve.interval[0] < today[0] + 0.05
    assert curve.interval[1] == 1.0


@pytest.mark.parametrize("count", [75, 150])
def test_what_comes_of_twice_the_pictures_is_in_the_interval(count: int) -> None:
    others, held = drawn(4000, 1.2, seed=1000), 0
    for seed in range(10):
        curve, twice = curve_of(drawn(count, 1.2, seed=seed)), drawn(2 * count, 1.2, seed=50 + seed)
        assert curve is not None
        head = twice.rough_head(np.arange(2 * count), 0.1)
        truth = (head.logits(others.features).argmax(axis=1) == others.labels).mean()
        held += curve.interval[0] <= truth <= curve.interval[1]
    assert held >= 9


def test_where_nobody_is_judged_there_is_no_curve() -> None:
    examples = drawn(3, 1.0)
    assert curve_of(examples) is None


def test_shares_hold_whole_groups_of_every_category() -> None:
    examples = drawn(120, 1.0, groups=30)
    rows = np.arange(120)
    for share in (0.125, 0.5):
        part = _part(examples, rows, share, np.random.default_rng(0))
        assert set(examples.labels[part].tolist()) == {0, 1, 2}
        assert len(part) == pytest.approx(120 * share, abs=12)
        for group in set(examples.index[part].tolist()):
            assert np.isin(np.flatnonzero(examples.index == group), part).all()


def test_the_laws_are_those_that_are_named() -> None:
    learned = np.array([100.0, 200.0, 400.0, 800.0])
    power, _ = _laws(learned, 3 * learned**-0.7, 1600.0)
    assert power == pytest.approx(3 * 1600**-0.7)
    _, root = _laws(learned, 0.05 + 2 * learned**-0.5, 1600.0)
    assert root == pytest.approx(0.05 + 2 * 1600**-0.5)
    assert _laws(learned, np.full(4, 0.1), 1600.0) == pytest.approx((0.1, 0.1))
    worse = _laws(learned, np.array([0.1, 0.1, 0.2, 0.3]), 1600.0)
    assert max(worse) <= 0.3  # more pictures are not believed to harm
