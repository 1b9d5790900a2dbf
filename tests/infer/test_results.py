"""The rows of a sorted folder: kept through crashes, read back from their files."""

import csv
import json
import os
import tracemalloc
from pathlib import Path

import pytest

from retrain.infer.names import name_and_number
from retrain.infer.results import DATABASE, Results
from retrain.infer.rows import Row

ODD = ["/a/b.jpg", "/a/line\nbreak", '/a/"q", é', os.fsdecode(b"/a/caf\xe9")]


def row(source: str, copy: str = "cat-0.90000.jpg") -> Row:
    return Row(source, copy, "cat", "0.90000", "", "run")


@pytest.mark.parametrize("finished", [True, False])
def test_rows_come_back(finished: bool, tmp_path: Path) -> None:
    results = Results(tmp_path)
    for number, source in enumerate(ODD):
        results.put(row(source, f"cat-0.90000-{number + 2}.jpg"), {"cat": 0.9, "é": 0.1})
    results.put(Row("/bad", "", "", "", "truncated", "run"), {})
    if finished:
        results.finish()
        assert {path.name for path in tmp_path.iterdir()} == {"results.csv", "results.json"}
    again = Results(tmp_path)
    for number, source in enumerate(ODD):
        assert again.find(source) == row(source, f"cat-0.90000-{number + 2}.jpg")
    bad = again.find("/bad")
    assert bad is not None
    assert bad.error == "truncated"
    assert again.next_number("cat-0.90000.jpg") == len(ODD) + 2
    assert again.next_number("CAT-0.90000.jpg") == len(ODD) + 2
    assert again.next_number("cat-0.90000.png") == 1


def test_the_files_are_sorted_and_whole(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for source in reversed(ODD):
        results.put(row(source), {"cat": 0.9})
    results.finish()
    text = (tmp_path / "results.json").read_text("utf-8", "surrogateescape")
    assert json.loads(text) == {source: {"cat": 0.9} for source in ODD}
    assert list(json.loads(text)) == sorted(ODD, key=os.fsencode)
    with (tmp_path / "results.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        assert [line["source"] for line in csv.DictReader(file)] == list(json.loads(text))


def test_rows_in_another_order_are_the_same_rows(tmp_path: Path) -> None:
    results = Results(tmp_path)
    for source in ODD:
        results.put(row(source), {"cat": 0.9})
    results.finish()
    with (tmp_path / "results.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        header, *lines = csv.reader(file)
    with (tmp_path / "results.csv").open(
        "w", encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        csv.writer(file).writerows([header, *reversed(lines)])
    again = Results(tmp_path)
    assert all(again.find(source) == row(source) for source in ODD)


def test_a_damaged_database_is_replaced_by_the_files(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.put(row("/a"), {"cat": 0.9})
    results.finish()
    (tmp_path / DATABASE).write_bytes(b"SQLite format 3\0" + bytes(4096))
    assert Results(tmp_path).find("/a") == row("/a")


def test_a_database_damaged_in_its_middle_is_replaced_too(tmp_path: Path) -> None:
    results = Results(tmp_path)
    results.put(row("/a"), {"cat": 0.9})
    results.finish()
    results = Results(tmp_path)
    for number in range(600):
        results.put(row(f"/b/{number}", f"cat-0.90000-{number + 2}.jpg"), {"cat": 0.9})
    path = tmp_path / DATABASE
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    again = Results(tmp_path)
    assert again.find("/a") == row("/a")
    again.finish()


@pytest.mark.slow
def test_rows_do_not_stay_in_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        for _ in range(2):  # the second run reads what the first wrote
            results = Results(tmp_path)
            for number in range(20_000):
                results.put(row(f"/a/{number}", f"cat-0.90000-{number + 2}.jpg"), {"cat": 0.9})
            results.finish()
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("copy", "parts"),
    [
        ("cat-0.90000.jpg", ("cat-0.90000.jpg", 1)),
        ("cat-0.90000-12.jpg", ("cat-0.90000.jpg", 12)),
        ("cat-1.00000-2.00001", ("cat-1.00000.00001", 2)),
        ("a-0.10000-cat-1.00000-3", ("a-0.10000-cat-1.00000", 3)),
        ("/aside/cat-0.20000-2.jpg", ("/aside/cat-0.20000.jpg", 2)),
        ("mine.jpg", ("mine.jpg", 1)),
    ],
)
def test_a_name_and_its_number(copy: str, parts: tuple[str, int]) -> None:
    assert name_and_number(copy) == parts


@pytest.mark.parametrize("change", [('"cat": 0.9', '"cat": '), ("0.90000,", "much,")])
def test_a_row_that_was_damaged_is_known_but_not_of_this_model(
    change: tuple[str, str], tmp_path: Path
) -> None:
    results = Results(tmp_path)
    results.put(row("/a", "cat.jpg"), {"cat": 0.9})
    results.put(row("/b", "cat-2.jpg"), {"dog": 0.9})
    results.finish()
    for path in tmp_path.iterdir():
        path.write_text(path.read_text().replace(*change, 1))
    found = Results(tmp_path).find("/a")
    assert found is not None
    assert (found.copy, found.run) == ("cat.jpg", "")
