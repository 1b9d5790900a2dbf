"""The nearest of many, against the plain way to compute them."""

import numpy as np
import pytest
from PIL import ImageOps

from retrain.data import candidates
from retrain.data.candidates import (
    WHOLE,
    Standard,
    by_features,
    by_pixels,
    mirrored,
    nearest,
    waves,
)
from retrain.data.fingerprints import describe
from scenes import COPIES, scene


def whole(count: int) -> np.ndarray:
    return np.tile(WHOLE, (count, 1))


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 700])
@pytest.mark.parametrize("block", [1, 50_000])
def test_the_nearest_are_found_block_by_block(
    count: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidates, "BLOCK", block)
    vectors = np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    first, second, product = nearest(vectors, vectors, np.arange(count), most=4, at_least=0.3)
    every = vectors @ vectors.T
    np.fill_diagonal(every, -np.inf)
    for row in range(count):
        expected = [i for i in np.argsort(-every[row], kind="stable")[:4] if every[row, i] >= 0.3]
        assert second[first == row].tolist() == expected
    assert product == pytest.approx(every[first, second])


def test_turning_a_picture_round_changes_the_sign_of_odd_waves() -> None:
    images = [scene(i) for i in range(4)]
    plain = waves(np.stack([describe(i) for i in images]), np.arange(4), whole(4))
    turned = np.stack([describe(ImageOps.mirror(i)) for i in images])
    assert mirrored(plain) == pytest.approx(waves(turned, np.arange(4), whole(4)), abs=0.02)


def test_copies_of_every_kind_are_candidates() -> None:
    originals = [scene(i) for i in range(60)]
    copies = [change(originals[i]) for i, change in enumerate(COPIES.values())]
    records = np.stack([describe(image) for image in originals + copies])
    found = by_pixels(records, np.arange(len(records)))
    pairs = {
        (min(p), max(p)) for p in zip(found.first.tolist(), found.second.tolist(), strict=True)
    }
    assert {(i, 60 + i) for i in range(len(copies))} <= pairs


def test_no_pair_comes_twice() -> None:
    records = np.stack([describe(scene(i % 7)) for i in range(20)])
    found = by_pixels(records, np.arange(20))
    low, high = np.minimum(found.first, found.second), np.maximum(found.first, found.second)
    pairs = list(zip(low.tolist(), high.tolist(), found.mirrored.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) > 20


def test_features_are_near_whatever_all_pictures_share() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 40)) * np.linspace(5, 0.1, 40) + 100
    features[1] = features[0] + rng.normal(size=40) * 0.02
    pairs, both = by_features(Standard.of(features.astype(np.float32), np.arange(400)))
    found = zip(pairs.first[both].tolist(), pairs.second[both].tolist(), strict=True)
    assert (0, 1) in set(found)


def test_constant_features_are_near_nobody() -> None:
    pairs, _ = by_features(Standard.of(np.ones((30, 8), np.float32), np.arange(30)))
    assert not len(pairs.first)
