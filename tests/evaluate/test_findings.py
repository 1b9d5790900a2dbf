"""Findings of all kinds in one list: ranked, written, read; and what is too few or too dark."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from retrain.data.records import Picture
from retrain.evaluate.advice import worth_correcting
from retrain.evaluate.findings import Finding, from_json, ranked, read_findings, write_findings
from retrain.evaluate.quality import Measures, quality_findings

ODD = 'cat/"a",\n<b>\u202e.jpg'
NOT_UTF8 = b"cat/caf\xe9.jpg".decode(errors="surrogateescape")
FINDINGS = [
    Finding("label", (ODD,), "cat", "dog", 0.9, "why, and why not"),
    Finding("copy", (NOT_UTF8, "dog/2.jpg"), "cat", "dog", 1.0, "twice"),
    Finding("quality", (), "cat", "", 0.45, "few"),
    Finding("label", ("cat/1.jpg",), "cat", "dog", 0.9, "first by name"),
]


def test_findings_come_back_ranked_and_unchanged(tmp_path: Path) -> None:
    found = ranked(FINDINGS)
    assert [one.why for one in found] == ["twice", "why, and why not", "first by name", "few"]
    write_findings(tmp_path, found)
    assert read_findings(tmp_path) == found
    with (tmp_path / "check.csv").open(newline="", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows] == [NOT_UTF8, "dog/2.jpg", ODD, "cat/1.jpg", ""]
    assert [row["rank"] for row in rows] == ["1", "1", "2", "3", "4"]


@pytest.mark.parametrize("text", ["", "{", "{}", "[1, null, {}]", '[{"kind": "burned"}]'])
def test_what_is_no_list_of_findings_holds_none(tmp_path: Path, text: str) -> None:
    assert read_findings(tmp_path) == []
    (tmp_path / "check.json").write_text(text)
    assert read_findings(tmp_path) == []


def test_json_has_the_fields_that_scripts_read() -> None:
    values = json.loads(json.dumps(from_json([{**vars(FINDINGS[0]), "more": 1}])[0].__dict__))
    assert list(values) == ["kind", "pictures", "category", "suggestion", "score", "why"]


def test_the_pictures_that_matter_most_are_named_and_shortcuts_come_first() -> None:
    shortcut = Finding("shortcut", ("x.jpg",), "cat", "", 1.0, "A border gives 'cat' away.")
    labels = [Finding("label", (f"{i}.jpg",), "cat", "dog", 0.9, "") for i in range(12)]
    first, second = worth_correcting([shortcut, *labels, labels[0], FINDINGS[2]])
    assert first == "A border gives 'cat' away."
    assert second.startswith("These 10 pictures matter most, if they are wrong: 0.jpg, 1.jpg")
    assert "9.jpg. `retrain clean TF_FILES`" in second
    assert worth_correcting([FINDINGS[2]]) == []
    assert worth_correcting(labels[:1])[0].startswith("One picture should be looked at: 0.jpg.")


def test_few_rare_small_dark_and_empty_pictures_are_counted() -> None:
    sizes = {"cat": 300, "dog": 25, "eel": 3}
    pictures = [
        Picture(Path(f"/{c}/{i}.jpg"), f"{c}/{i}.jpg", c, f"{c}{i}", f"{c}{i}")
        for c, count in sizes.items()
        for i in range(count)
    ]
    side, brightness = np.full(328, 200), np.full(328, 120.0)
    spread = np.full(328, 40.0)
    side[[0, 1]] = 20, 31
    brightness[[2, 3]] = 9, 250
    spread[4] = 1
    found = {one.why: one for one in quality_findings(pictures, Measures(side, brightness, spread))}
    assert sorted(found) == [
        "'dog' has 25 pictures, 'cat' has 300: a model sees too little of 'dog'. Add some, or "
        "train with --balance always.",
        "'eel' has 3 pictures; with fewer than 20 a model is rarely reliable. Add some.",
        "1 of 300 pictures of 'cat' is nearly black (mean brightness below 16 of 255) "
        "(the darkest 9).",
        "1 of 300 pictures of 'cat' is nearly white (mean brightness above 245 of 255) "
        "(the brightest 250).",
        "1 of 300 pictures of 'cat' is of one colour, so that nothing is to be seen.",
        "2 of 300 pictures of 'cat' are smaller than 32 pixels (the smallest 20).",
    ]
