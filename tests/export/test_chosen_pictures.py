"""Which pictures exports are compared and weighed on."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from retrain.config import HeadConfig
from retrain.data.records import Picture
from retrain.export.parity import PICTURES
from retrain.export.weighing import Sample
from retrain.jobs.exports import (
    INT8_PICTURES,
    MOST_PARITY_PICTURES,
    int8_sample,
    parity_pictures,
)
from retrain.metrics import margins
from retrain.training.crossfit import CrossFitted, cross_fit
from retrain.training.examples import Examples
from retrain.training.folds import assign_folds
from retrain.training.labelled import Labelled

CATEGORIES = ("disc", "stripes", "squares")
COMMON = (0.7, 0.2, 0.1)  # how frequent each is


def side(name: str, count: int) -> Labelled:
    """Return pictures that are sorted by category, as those of a training are."""
    rng = np.random.default_rng(len(name))
    labels = np.sort(rng.choice(3, count, p=COMMON))
    features = 2 * np.eye(3)[labels] + rng.normal(size=(count, 3))
    pictures = [
        Picture(Path(f"{name}/{i}.jpg"), f"{name}/{i}.jpg", CATEGORIES[label], f"{i}", f"{i}")
        for i, label in enumerate(labels.tolist())
    ]
    return Labelled(pictures, features.astype(np.float32), labels)


def crossed(train: Labelled) -> CrossFitted:
    groups = [picture.key for picture in train.pictures]
    fold = assign_folds(groups, train.labels, 5).of_picture
    return cross_fit(Examples(train.features, train.labels, groups), fold, HeadConfig())


@pytest.fixture(scope="module")
def train() -> Labelled:
    return side("train", 300)


@pytest.fixture(scope="module")
def answers(train: Labelled) -> CrossFitted:
    return crossed(train)


def rows_of(paths: object) -> list[int]:
    return [int(Path(path).stem) for path in paths]  # type: ignore[attr-defined]


def test_half_of_parity_s_pictures_are_narrow_and_half_of_all_categories(
    train: Labelled, answers: CrossFitted
) -> None:
    rows = rows_of(parity_pictures(train, side("valid", 0), answers))
    assert len(rows) == len(set(rows)) == PICTURES
    lead = margins(answers.logits)
    narrow, others = rows[: PICTURES // 2], rows[PICTURES // 2 :]
    assert set(narrow) == set(np.argsort(lead, kind="stable")[: PICTURES // 2].tolist())
    counts = Counter(train.pictures[row].category for row in others)
    assert set(counts) == set(CATEGORIES)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_a_few_validation_pictures_are_joined_by_training_pictures(
    train: Labelled, answers: CrossFitted
) -> None:
    valid = side("valid", 10)
    paths = parity_pictures(train, valid, answers)
    assert list(paths[:10]) == [picture.path for picture in valid.pictures]
    assert {path.parent.name for path in paths[10:]} == {"train"}
    assert len(set(paths)) == PICTURES


def test_enough_validation_pictures_suffice_and_of_many_some_are_taken(
    train: Labelled, answers: CrossFitted
) -> None:
    for count, expected in ((PICTURES, PICTURES), (2500, MOST_PARITY_PICTURES)):
        paths = parity_pictures(train, side("valid", count), answers)
        assert {path.parent.name for path in paths} == {"valid"}
        assert len(set(paths)) == expected


def test_of_a_small_training_every_picture_is_compared() -> None:
    few = side("train", 20)
    assert sorted(rows_of(parity_pictures(few, side("valid", 0), crossed(few)))) == list(range(20))


def test_int8_is_weighed_by_heads_that_had_not_seen_the_picture(
    train: Labelled, answers: CrossFitted
) -> None:
    valid = side("valid", 12)
    sample = int8_sample(train, valid, answers)
    assert list(sample.paths) == [p.path for p in (*train.pictures, *valid.pictures)]
    assert sample.features is not None
    assert sample.head_of is not None
    np.testing.assert_array_equal(sample.features[:300], train.features)
    np.testing.assert_array_equal(sample.features[300:], valid.features)
    np.testing.assert_array_equal(sample.head_of[:300], answers.fold)
    assert set(sample.head_of[300:].tolist()) == {Sample.OWN}
    for fold, (kernel, bias) in sample.heads.items():
        own = sample.head_of == fold
        said = sample.features[own] @ kernel + bias
        np.testing.assert_allclose(said, answers.logits[own[:300]], atol=1e-4)


def test_of_many_pictures_int8_sees_some_of_each_category_with_their_own_heads() -> None:
    many = side("train", INT8_PICTURES + 1500)
    answers = crossed(many)
    sample = int8_sample(many, side("valid", 0), answers)
    rows = rows_of(sample.paths)
    assert len(set(rows)) == INT8_PICTURES
    assert sample.features is not None
    assert sample.head_of is not None
    np.testing.assert_array_equal(sample.features, many.features[rows])
    np.testing.assert_array_equal(sample.head_of, answers.fold[rows])
    shares = np.bincount(many.labels[rows]) / INT8_PICTURES
    assert shares == pytest.approx(np.bincount(many.labels) / len(many.labels), abs=0.01)


def test_a_fine_tuned_model_is_weighed_by_itself_alone(train: Labelled) -> None:
    sample = int8_sample(train, side("valid", 5), None)
    assert len(sample.paths) == 305
    assert sample.features is None
    assert sample.head_of is None
    assert not sample.heads
