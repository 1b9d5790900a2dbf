"""Folds: together what belongs together, old ones stand, and no category is ever held out whole."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrain.training.folds import UNJUDGED, assign_folds

KEYS, NEW_KEYS = "abcdefghij", "klmnopqrst"
PICTURES = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 3)), min_size=1)
NEW = st.lists(st.tuples(st.sampled_from(NEW_KEYS), st.integers(0, 5)))
OLD = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 4))


def columns(pictures: list[tuple[str, int]]) -> tuple[list[str], np.ndarray]:
    return [key for key, _ in pictures], np.array([label for _, label in pictures])


@given(PICTURES, OLD)
def test_no_key_is_in_two_folds(pictures: list[tuple[str, int]], old: dict[str, int]) -> None:
    keys, labels = columns(pictures)
    folds = assign_folds(keys, labels, 5, [old.get(key) for key in keys])
    by_key = {(key, int(fold)) for key, fold in zip(keys, folds.of_picture, strict=True)}
    assert len(by_key) == len(set(keys))
    assert by_key == set(folds.of_key.items())


@given(PICTURES, OLD)
def test_no_category_is_held_out_whole(
    pictures: list[tuple[str, int]], old: dict[str, int]
) -> None:
    keys, labels = columns(pictures)
    folds = assign_folds(keys, labels, 5, [old.get(key) for key in keys])
    for number in folds.numbers():
        assert set(labels[folds.of_picture != number].tolist()) == set(labels.tolist())


@given(PICTURES, NEW)
def test_old_folds_stand_whatever_comes(
    first: list[tuple[str, int]], more: list[tuple[str, int]]
) -> None:
    before = assign_folds(*columns(first), 5).of_key
    keys, labels = columns(first + more)
    after = assign_folds(keys, labels, 5, [before.get(key) for key in keys]).of_key
    for key, fold in before.items():
        assert fold == UNJUDGED or after[key] == fold


@given(PICTURES, OLD, st.randoms())
def test_the_order_of_the_pictures_does_not_matter(
    pictures: list[tuple[str, int]], old: dict[str, int], random: object
) -> None:
    def dealt(some: list[tuple[str, int]]) -> dict[str, int]:
        keys, labels = columns(some)
        return dict(assign_folds(keys, labels, 5, [old.get(key) for key in keys]).of_key)

    assert dealt(pictures) == dealt(sorted(pictures, reverse=True))


def test_a_category_that_is_one_group_is_named() -> None:
    keys, labels = ["a", "b", "c", "film", "film", "film"], np.array([0, 0, 0, 1, 1, 1])
    folds = assign_folds(keys, labels, 5)
    assert folds.unjudged == (1,)
    assert (folds.of_picture[3:] == UNJUDGED).all()
    assert (folds.of_picture[:3] != UNJUDGED).all()


def test_a_category_that_was_one_group_is_judged_once_it_has_another() -> None:
    keys, labels = ["a", "b", "film", "film", "new"], np.array([0, 0, 1, 1, 1])
    folds = assign_folds(keys, labels, 5, [0, 1, UNJUDGED, UNJUDGED, None])
    assert folds.unjudged == ()
    assert folds.of_key["film"] != folds.of_key["new"]


def test_two_pictures_a_category_use_all_folds() -> None:
    keys, labels = [f"{i}" for i in range(20)], np.arange(20) // 2
    folds = assign_folds(keys, labels, 5)
    assert folds.unjudged == ()
    assert min(Counter(folds.of_picture.tolist()).values()) >= 3


def test_groups_of_very_different_sizes_are_levelled() -> None:
    sizes = [50, 30, 20, 10, 10, 5, 5, 5, *[1] * 65]
    keys = [f"group {i}" for i, size in enumerate(sizes) for _ in range(size)]
    folds = assign_folds(keys, np.zeros(len(keys), np.int64), 5)
    counts = Counter(folds.of_picture.tolist())
    assert max(counts.values()) == 50  # no fold is larger than the largest group
    assert min(counts.values()) >= 35


def test_new_keys_go_where_their_category_has_fewest() -> None:
    keys, labels = ["a", "b", "c", "new"], np.array([0, 0, 1, 0])
    folds = assign_folds(keys, labels, 3, [0, 2, 1, None])
    assert folds.of_key == {"a": 0, "b": 2, "c": UNJUDGED, "new": 1}


def test_keys_that_are_joined_take_the_fold_of_most_of_their_pictures() -> None:
    keys, labels = ["joined"] * 3 + ["a", "b"], np.zeros(5, np.int64)
    assert assign_folds(keys, labels, 5, [4, 2, 2, 0, 1]).of_key["joined"] == 2


def test_what_is_left_of_a_category_in_one_old_fold_is_parted() -> None:
    keys, labels = ["a", "b", "x", "y"], np.array([0, 0, 1, 1])
    folds = assign_folds(keys, labels, 5, [3, 3, 0, 1])
    assert folds.unjudged == ()
    assert 3 in (folds.of_key["a"], folds.of_key["b"])
