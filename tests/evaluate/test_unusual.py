"""Unusual pictures are those far from the others of their category, whatever their number."""

import numpy as np
import pytest
from numpy.typing import NDArray

from retrain.evaluate.unusual import FEWEST, UNUSUAL, directions, nearest, strangeness

Array = NDArray[np.float32]


def crowd(rng: np.random.Generator, pictures: int, kind: int) -> Array:
    """Return features as a backbone has them, never negative, of pictures of one kind."""
    middle = np.zeros(64)
    middle[8 * kind : 8 * kind + 16] = 3
    return np.maximum(middle + rng.normal(0, 1, (pictures, 64)), 0).astype(np.float32)


@pytest.mark.parametrize("strangers", [1, 4, 14])
def test_strangers_are_farther_out_than_all_others(strangers: int) -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([crowd(rng, 80, 0), crowd(rng, 60, 2), crowd(rng, strangers, 5)])
    labels = np.array([0] * 80 + [1] * 60 + [0] * strangers)
    strange = strangeness(features, labels)
    assert set(np.argsort(-strange)[:strangers].tolist()) == set(range(140, 140 + strangers))
    assert (strange[140:] > UNUSUAL).all()
    assert (strange[:140] < UNUSUAL).mean() > 0.97


def test_a_stranger_with_its_copies_is_no_crowd() -> None:
    rng = np.random.default_rng(1)
    one = crowd(rng, 1, 5)
    features = np.concatenate([crowd(rng, 80, 0), np.repeat(one, 5, axis=0)])
    strange = strangeness(features, np.zeros(85, int))
    assert (strange[80:] > UNUSUAL).all()


def test_a_handful_of_pictures_tells_nothing() -> None:
    features = crowd(np.random.default_rng(2), FEWEST - 1, 0)
    assert not strangeness(features, np.zeros(FEWEST - 1, int)).any()
    same = np.ones((20, 8), np.float32)
    assert np.abs(strangeness(same, np.zeros(20, int))).max() < 1


def test_the_nearest_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrain.evaluate.unusual.ROWS_AT_ONCE", 7)
    rng = np.random.default_rng(3)
    own, others = directions(crowd(rng, 20, 0)), directions(crowd(rng, 30, 1))
    places, products = nearest(own, others, 4)
    exact = own @ others.T
    np.testing.assert_allclose(products, -np.sort(-exact, axis=1)[:, :4], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(exact, places, axis=1), products, atol=1e-6)
