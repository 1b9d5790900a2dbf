"""Clusters held out: unlike pictures are found where there are some, groups stay whole."""

import numpy as np
import pytest

from retrain.training.beyond import CLUSTERS, Beyond, _Keys, beyond
from retrain.training.examples import Examples
from retrain.training.folds import UNJUDGED


def scenes(unlike: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features [120, 40] of two categories, five scenes each, so far apart."""
    rng = np.random.default_rng(seed)
    labels, scene = np.arange(120) % 2, np.arange(120) // 2 % 5
    places = rng.normal(0, 1, (2, 5, 40)) * unlike
    category = np.where(labels == 0, -0.6, 0.6)[:, None] * (np.arange(40) < 8)
    features = places[labels, scene] + category + rng.normal(0, 0.5, (120, 40))
    return features.astype(np.float32), labels


def found(features: np.ndarray, labels: np.ndarray, groups: list[str] | None = None) -> Beyond:
    groups = groups or [str(i) for i in range(len(labels))]
    answer = beyond(Examples(features, labels, groups), 0.1, seeds=2)
    assert answer is not None
    return answer


def test_the_drop_is_large_where_scenes_are_unlike_and_small_where_not() -> None:
    alike, unlike = found(*scenes(0.0)), found(*scenes(2.0))
    assert abs(alike.drop) < 0.05
    assert unlike.drop > 0.1
    assert unlike.random > 0.95  # fewer pictures are not to blame
    assert unlike.interval[0] < unlike.accuracy < unlike.interval[1]
    assert unlike.pictures == 120


def test_the_category_that_loses_most_can_be_named() -> None:
    features, labels = scenes(0.0)
    twin = scenes(3.0, seed=1)[0]
    features[labels == 1] = twin[labels == 1]
    answer = found(features, labels)
    assert answer.by_category[1] > answer.by_category[0]


def test_groups_are_never_parted() -> None:
    features, labels = scenes(1.0)
    groups = [f"{label} {i // 6}" for i, label in enumerate(labels)]
    keys, rng = _Keys(Examples(features, labels, groups)), np.random.default_rng(0)
    clusters = keys.clusters(rng)
    for dealt in (clusters, keys.shuffled(clusters, rng)):
        parts = {(group, int(fold)) for group, fold in zip(groups, dealt, strict=True)}
        assert len(parts) == len(set(groups))


def test_random_removals_are_as_large_as_clusters() -> None:
    features, labels = scenes(1.0)
    keys = _Keys(Examples(features, labels, [str(i) for i in range(120)]))
    rng = np.random.default_rng(0)
    clusters = keys.clusters(rng)
    random = keys.shuffled(clusters, rng)
    for label in (0, 1):
        own = labels == label
        assert np.bincount(clusters[own]).tolist() == np.bincount(random[own]).tolist()
    assert (clusters != random).any()


def test_persons_who_show_every_sign_are_held_out_whole() -> None:
    features, labels = scenes(0.5)
    persons = [f"person {i // 2 % 12}" for i in range(120)]  # each is in both categories
    clusters = _Keys(Examples(features, labels, persons)).clusters(np.random.default_rng(0))
    assert len(np.unique(clusters)) == CLUSTERS
    for person in set(persons):
        rows = [i for i, name in enumerate(persons) if name == person]
        assert len(np.unique(clusters[rows])) == 1


def test_a_category_in_one_series_is_not_held_out() -> None:
    features, labels = scenes(1.0)
    groups = ["film" if label else str(i) for i, label in enumerate(labels)]
    answer = found(features, labels, groups)
    assert answer.pictures == 60
    assert np.isnan(answer.by_category[1])
    clusters = _Keys(Examples(features, labels, groups)).clusters(np.random.default_rng(0))
    assert (clusters[labels == 1] == UNJUDGED).all()


def test_where_every_category_is_one_group_there_is_no_number() -> None:
    features, labels = scenes(1.0)
    groups = [str(label) for label in labels]
    assert beyond(Examples(features, labels, groups), 0.1) is None


@pytest.mark.parametrize("each", [2, 3])
def test_few_pictures_a_category_are_enough_for_a_number(each: int) -> None:
    features, labels = scenes(0.0)
    answer = found(features[: 2 * each], labels[: 2 * each])
    assert 0 <= answer.accuracy <= 1


def test_pictures_that_are_all_alike_do_not_stop_it() -> None:
    features, labels = np.ones((20, 6), np.float32), np.arange(20) % 2
    answer = beyond(Examples(features, labels, [str(i) for i in range(20)]), 0.1, seeds=1)
    assert answer is None or 0 <= answer.accuracy <= 1
