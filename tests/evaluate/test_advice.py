"""What a person is told to do next, and what the counts in it belong to."""

from dataclasses import replace
from pathlib import Path

import pytest

from reports import facts
from retrain.evaluate.advice import advice
from retrain.evaluate.report import render
from retrain.evaluate.verdicts import Verdict


def test_advice_stays_short() -> None:
    sentences = advice([], {f"category {i}": 10 for i in range(100)})
    assert sentences == [
        "There are few training pictures of 'category 0' (10), 'category 1' (10), 'category 10' "
        "(10) and 97 more: add some, until there are at least 20 of each."
    ]


def test_advice_names_a_category_that_is_rare_beside_another() -> None:
    assert advice([], {"green": 339, "red": 596, "yellow": 28}) == [
        "There are few training pictures of 'yellow' (28): add some, until there are at least 59 "
        "of each."
    ]


@pytest.mark.parametrize(("mistakes", "told"), [(1, False), (2, True)])
def test_advice_calls_two_categories_confused_from_the_second_time(
    mistakes: int, told: bool
) -> None:
    guesses = ["green"] * mistakes + ["red"] * 100
    found = [Verdict("", Path(), "test", "red", guess, 0.6, 0.4, 0.9) for guess in guesses]
    assert ("'red' is taken for 'green'" in " ".join(advice(found, {}))) == told


def both_sides() -> list[Verdict]:
    """Return verdicts of 30 out-of-fold pictures and 70 of the test, where others are confused."""

    def some(side: str, guesses: str) -> list[Verdict]:
        return [
            Verdict(f"{side} {i}", Path(), side, "red", guess, 0.6, 0.4, 0.9)
            for i, guess in enumerate(guesses.split())
        ]

    return [
        *some("fold 1", "green " * 3 + "red " * 27),
        *some("test", "blue " * 5 + "red " * 65),
    ]


@pytest.mark.parametrize(
    ("judged_by", "confused", "pictures"),
    [
        ("cross_fitted", "'green' most often (3 of 30 pictures)", "30 pictures"),
        ("one_fold", "'green' most often (3 of 30 pictures)", "30 pictures"),
        ("test", "'blue' most often (5 of 70 pictures)", "70 pictures"),
        (None, "'blue' most often (5 of 100 pictures)", "100 pictures"),
    ],
)
def test_advice_counts_the_pictures_that_the_interval_was_made_of(
    judged_by: str | None, confused: str, pictures: str
) -> None:
    said = " ".join(advice(both_sides(), {}, judged_by, (0.7, 0.95)))
    assert confused in said
    assert (
        f"{pictures} cannot tell much: the accuracy on new ones may be anywhere from 0.70" in said
    )


def test_a_file_that_may_be_misplaced_is_named_whichever_figure_leads() -> None:
    sure = Verdict("misplaced.jpg", Path(), "test", "red", "blue", 0.99, 0.01, 4.6)
    assert "(misplaced.jpg)" in " ".join(advice([sure, *both_sides()], {}, "cross_fitted"))


def test_the_report_counts_the_pictures_that_its_interval_was_made_of(tmp_path: Path) -> None:
    figures = {"accuracy": 0.9, "interval_95": [0.7, 0.95], "macro_f1": 0.9, "log_loss": 0.2}
    metrics = {
        "judged_by": "cross_fitted",
        "cross_fitted": {**figures, "pictures": 30},
        "test": {**figures, "pictures": 70},
    }
    made = replace(
        facts(tmp_path, 20, 3),
        labels=("red", "green", "blue"),
        verdicts=both_sides(),
        metrics=metrics,
        heat={},
    )
    page = render(made)
    assert "<p>Of the 30 pictures that it was judged by, it most often takes" in page
    assert "<bdi>red</bdi></strong> for <strong><bdi>green</bdi></strong> (3 times)" in page
    assert "30 pictures cannot tell much" in page
