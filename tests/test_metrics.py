"""Numbers computed by hand, or by a reference that shares no code with ours."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from retrain.metrics import (
    calibration_error,
    confusion_matrix,
    error_rate,
    evaluate,
    log_loss,
    macro_f1,
    reliability,
    sign_flip,
    top_k_accuracy,
    wilson_interval,
)

CATEGORIES = ("a", "b", "c")


def certain(*guesses: int) -> np.ndarray:
    """Return probabilities [n, 3] that are sure of the given categories."""
    return np.eye(3)[list(guesses)]


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [  # Newcombe 1998, Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(
    correct: int, total: int, low: float, high: float
) -> None:
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("total", [1, 2, 7, 100, 10_000])
def test_the_interval_agrees_with_scipy_for_none_some_and_all(total: int) -> None:
    for correct in {0, 1, total // 2, total}:
        expected = binomtest(correct, total).proportion_ci(0.95, method="wilson")
        assert wilson_interval(correct, total) == pytest.approx(tuple(expected), abs=1e-12)


def test_without_pictures_the_interval_says_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_confusion_has_true_categories_in_rows_and_guesses_in_columns() -> None:
    matrix = confusion_matrix(np.array([0, 0, 0, 1]), np.array([0, 2, 2, 1]), 3)
    assert matrix.tolist() == [[1, 0, 2], [0, 1, 0], [0, 0, 0]]


def test_log_loss_is_the_mean_negative_logarithm_of_the_true_category() -> None:
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25]], np.float32)
    expected = (math.log(2) + math.log(4)) / 2
    assert log_loss(probabilities, np.array([0, 1])) == pytest.approx(expected)


def test_log_loss_of_a_sure_mistake_is_large_but_finite() -> None:
    assert log_loss(certain(1), np.array([0])) == pytest.approx(-math.log(1e-7))


def test_error_rate_counts_wrong_best_guesses() -> None:
    assert error_rate(certain(0, 1, 2, 2), np.array([0, 1, 2, 0])) == 0.25


def test_an_evaluation_counts_by_category() -> None:
    # true: a a a b; guessed: a a b b
    scores = evaluate(certain(0, 0, 1, 1), np.array([0, 0, 0, 1]), CATEGORIES)
    assert scores is not None
    assert (scores.pictures, scores.accuracy) == (4, 0.75)
    assert scores.interval == wilson_interval(3, 4)
    a, b, c = scores.categories
    assert [a.precision, a.recall, a.f1] == pytest.approx([1, 2 / 3, 0.8])
    assert [b.precision, b.recall, b.f1] == pytest.approx([0.5, 1, 2 / 3])
    assert [c.precision, c.recall, c.f1] == [0, 0, 0]
    assert [a.support, b.support, c.support] == [3, 1, 0]
    assert scores.confusion == ((2, 1, 0), (0, 1, 0), (0, 0, 0))


def test_macro_f1_leaves_out_categories_without_pictures() -> None:
    scores = evaluate(certain(0, 0, 1, 1), np.array([0, 0, 0, 1]), CATEGORIES)
    assert scores is not None
    assert scores.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)


def test_macro_f1_counts_a_category_that_is_never_guessed_as_zero() -> None:
    scores = evaluate(certain(0, 0), np.array([0, 2]), CATEGORIES)
    assert scores is not None
    assert scores.macro_f1 == pytest.approx((2 / 3 + 0) / 2)


ANSWERS = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.sampled_from("abcdefg")), min_size=1, max_size=40
)


def columns(rows: list[tuple[bool, bool, str]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    first, second, groups = zip(*rows, strict=True)
    return np.array(first), np.array(second), list(groups)


@given(ANSWERS)
def test_a_flip_of_signs_does_not_ask_which_model_comes_first(
    rows: list[tuple[bool, bool, str]],
) -> None:
    first, second, groups = columns(rows)
    assert sign_flip(first, second, groups) == pytest.approx(sign_flip(second, first, groups))
    assert 0 < sign_flip(first, second, groups) <= 1


@given(ANSWERS)
def test_a_flip_of_signs_counts_all_choices(rows: list[tuple[bool, bool, str]]) -> None:
    first, second, groups = columns(rows)
    leads: dict[str, int] = {}
    for one, other, group in rows:
        leads[group] = leads.get(group, 0) + int(one) - int(other)
    sums = [
        abs(sum(sign * lead for sign, lead in zip(signs, leads.values(), strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(leads))
    ]
    expected = np.mean([total >= abs(sum(leads.values())) for total in sums])
    assert sign_flip(first, second, groups) == pytest.approx(expected)


@pytest.mark.parametrize("pair", [(0, 0), (0, 1), (3, 9), (20, 7), (600, 700)])
def test_a_flip_of_signs_without_groups_is_mcnemar(pair: tuple[int, int]) -> None:
    first = np.array([True] * pair[0] + [False] * pair[1] + [True] * 5)
    second = np.array([False] * pair[0] + [True] * pair[1] + [True] * 5)
    groups = [str(i) for i in range(len(first))]
    expected = binomtest(pair[0], sum(pair)).pvalue if sum(pair) else 1.0
    assert sign_flip(first, second, groups) == pytest.approx(expected)


def test_ten_frames_of_one_film_are_one_piece_of_evidence() -> None:
    first, second = np.array([True] * 10), np.array([False] * 10)
    assert sign_flip(first, second, ["film"] * 10) == 1.0


def test_the_best_k_count() -> None:
    probabilities, labels = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]), np.array([1, 0])
    assert [top_k_accuracy(probabilities, labels, k) for k in (1, 2, 3)] == [0.0, 0.5, 1.0]


def test_reliability_sets_scores_beside_accuracy() -> None:
    low, high = reliability(np.array([0.55, 0.58, 1.0]), np.array([True, False, True]))
    assert low.score == pytest.approx(0.565)
    assert (low.accuracy, low.pictures) == (0.5, 2)
    assert (high.score, high.accuracy, high.pictures) == (1.0, 1.0, 1)


def test_a_side_without_pictures_has_no_evaluation() -> None:
    nothing, labels = np.empty((0, 3)), np.empty(0, np.int64)
    assert evaluate(nothing, labels, CATEGORIES) is None
    assert math.isnan(log_loss(nothing, labels))
    assert math.isnan(error_rate(nothing, labels))


@pytest.mark.parametrize("categories", [200, 201])
def test_a_confusion_matrix_that_nobody_could_read_is_left_out(categories: int) -> None:
    scores = evaluate(np.eye(categories), np.arange(categories), list(map(str, range(categories))))
    assert scores is not None
    assert ("confusion" in scores.as_dict()) == (categories == 200)


def test_an_evaluation_becomes_json() -> None:
    scores = evaluate(certain(0, 1), np.array([0, 2]), CATEGORIES)
    assert scores is not None
    values = json.loads(json.dumps(scores.as_dict(), allow_nan=False))
    assert values["accuracy"] == 0.5
    assert values["interval_95"] == list(scores.interval)
    assert values["categories"][2] == {
        "category": "c",
        "precision": 0.0,
        "recall": 0.0,
        "f1": 0.0,
        "support": 1,
    }


def test_calibration_error_is_the_distance_between_score_and_accuracy() -> None:
    probabilities = np.tile([[0.8, 0.2]], (10, 1))
    right = np.zeros(10, np.int64)
    assert calibration_error(probabilities, right) == pytest.approx(0.2)
    labels = np.array([0] * 8 + [1] * 2)
    assert calibration_error(probabilities, labels) == pytest.approx(0.0)
    assert math.isnan(calibration_error(probabilities[:0], labels[:0]))


@given(st.integers(0, 10_000))
def test_macro_f1_is_that_of_the_evaluation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.random((20, 4)), rng.integers(0, 4, 20)
    found = evaluate(scores, labels, "abcd")
    assert found is not None
    assert macro_f1(scores, labels) == pytest.approx(found.macro_f1)
