"""Variations teach what their originals teach, where these teach, and judge nobody."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retrain.config import HeadConfig
from retrain.data.records import Picture
from retrain.training.balance import varied_shift
from retrain.training.crossfit import CrossFitted, cross_fit
from retrain.training.examples import Examples
from retrain.training.folds import assign_folds
from retrain.training.labelled import Labelled, Varied
from retrain.training.regression import Regression


def picture(name: str) -> Picture:
    return Picture(Path(name), name, "a", name, name)


def blobs(count: int = 60) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng, labels = np.random.default_rng(0), np.arange(count) % 3
    centres = np.random.default_rng(9).normal(0, 1, (3, 12))
    return (centres[labels] + rng.normal(0, 2.0, (count, 12))).astype(np.float32), labels


def variations(features: NDArray[np.float32], of: list[int]) -> Varied:
    moved = features[of] + np.random.default_rng(1).normal(0, 0.5, (len(of), 12))
    names = [picture(f"v{i}") for i in range(len(of))]
    return Varied(names, moved.astype(np.float32), np.array(of))


def crossed(varied: Varied | None) -> tuple[Examples, CrossFitted]:
    features, labels = blobs()
    groups = [str(i) for i in range(len(labels))]
    examples = Examples(features, labels, groups, None, varied)
    return examples, cross_fit(examples, assign_folds(groups, labels, 5).of_picture, HeadConfig())


def test_a_fold_is_judged_by_a_head_without_its_variations() -> None:
    features, labels = blobs()
    varied = variations(features, [*range(0, 60, 3)] * 2)
    _, found = crossed(varied)
    assert found.logits.shape == (60, 3)
    assert found.judged.all()
    for number, head in found.heads.items():
        own = np.flatnonzero(found.fold == number)
        others = np.flatnonzero(found.fold != number)
        kept = ~np.isin(varied.of, own)
        parts = [features[others], varied.features[kept]]
        alone = Regression(parts, np.concatenate([labels[others], labels[varied.of[kept]]]), 3)
        again = alone.linear(alone.solve(found.chosen.penalty, None, 500))
        np.testing.assert_allclose(head.kernel, again.kernel, atol=0.05)
    without = crossed(None)[1]
    assert not np.allclose(found.logits, without.logits)


def test_scores_stay_those_of_categories_as_frequent_as_they_are() -> None:
    labels = np.array([0, 0, 0, 1])
    shift = varied_shift(labels, np.array([3, 3, 3, 3, 3]), 2)
    np.testing.assert_allclose(shift, [0.0, np.log(6)], rtol=1e-6)
    features, _ = blobs()
    copies = Varied([picture("v")] * 100, features[[0] * 100], np.zeros(100, int))
    head = crossed(copies)[1].chosen.head
    mean = np.exp(head.logits(features))
    mean = (mean / mean.sum(axis=1, keepdims=True)).mean(axis=0)
    assert mean[0] == pytest.approx(1 / 3, abs=0.12)  # 120 of 160 taught it


def test_what_was_made_of_some_pictures_goes_with_them() -> None:
    features, labels = blobs(6)
    own = Labelled([picture(str(i)) for i in range(6)], features, labels)
    varied = variations(features, [0, 2, 2, 5])
    some = varied.among(np.array([2, 3, 5]))
    assert [one.name for one in some.pictures] == ["v1", "v2", "v3"]
    assert some.of.tolist() == [0, 0, 2]
    taught = own.some(np.array([2, 3, 5])).with_varied(some)
    assert [one.name for one in taught.pictures] == ["2", "3", "5", "v1", "v2", "v3"]
    assert taught.labels.tolist() == [2, 0, 2, 2, 2, 2]
    assert taught.features.shape == (6, 12)
    assert own.with_varied(None) is own
