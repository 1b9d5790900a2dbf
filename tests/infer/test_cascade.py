"""Guesses in int8 with second looks in float32, on a real quantised model."""

import csv
import json
import math
import shutil
from pathlib import Path

import pytest

from commands import retrain

PRECISIONS = ("auto", "float32", "int8")


def scores(root: Path, *options: str | Path) -> list[dict[str, float]]:
    pictures = sorted((root / "data").rglob("*.jpg"))[::7]
    result = retrain("guess", root, *pictures, "--json", *options)
    assert result.returncode == 0, result.stderr
    return [guess["scores"] for guess in json.loads(result.stdout)]


@pytest.fixture(scope="module")
def by_precision(trained: Path) -> dict[str, list[dict[str, float]]]:
    return {name: scores(trained, "--precision", name) for name in PRECISIONS}


def copy_of(trained: Path, folder: Path) -> Path:
    """Copy what guesses need, to be changed."""
    shutil.copytree(
        trained, folder / "copy", symlinks=True, ignore=shutil.ignore_patterns("saved_model")
    )
    return folder / "copy"


def change_cascade(root: Path, **changes: object) -> None:
    path = root / "model" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["cascade"] = {**manifest["cascade"], **changes} if changes else None
    path.write_text(json.dumps(manifest))


def test_the_manifest_says_what_was_measured(trained: Path) -> None:
    cascade = json.loads((trained / "model" / "manifest.json").read_text())["cascade"]
    assert cascade["pictures"] > 50
    assert cascade["disagreements"] / cascade["pictures"] < cascade["upper_95"] <= 1
    assert 0 <= cascade["second_looks"] <= 1
    assert cascade["offered"] == cascade["reason"].startswith("it is used, ")
    assert cascade["speedup"] > 0


def test_every_precision_sees_the_same_best_category(
    by_precision: dict[str, list[dict[str, float]]],
) -> None:
    best = [[max(one, key=one.__getitem__) for one in found] for found in by_precision.values()]
    assert best[0] == best[1] == best[2]


def test_int8_scores_are_no_steps_of_a_256th(
    by_precision: dict[str, list[dict[str, float]]],
) -> None:
    steps = [score * 256 for one in by_precision["int8"] for score in one.values()]
    assert any(abs(step - round(step)) > 0.05 for step in steps)
    assert all(math.isclose(sum(one.values()), 1, abs_tol=1e-5) for one in by_precision["int8"])
    assert by_precision["int8"] != by_precision["float32"]


def test_int8_scores_are_as_sure_as_those_of_float32(
    trained: Path, by_precision: dict[str, list[dict[str, float]]]
) -> None:
    assert json.loads((trained / "model" / "manifest.json").read_text())["temperature"] > 1.5
    for quantised, exact in zip(by_precision["int8"], by_precision["float32"], strict=True):
        assert quantised == pytest.approx(exact, abs=0.1)


def test_second_looks_are_float32(
    trained: Path, tmp_path: Path, by_precision: dict[str, list[dict[str, float]]]
) -> None:
    root = copy_of(trained, tmp_path)
    change_cascade(root, offered=True, threshold=1e9)
    assert scores(root) == by_precision["float32"]
    change_cascade(root, offered=True, threshold=0)
    assert scores(root) == by_precision["int8"]
    change_cascade(root, offered=False)
    assert scores(root) == by_precision["float32"]


def test_a_folder_gets_the_scores_of_single_guesses(trained: Path, tmp_path: Path) -> None:
    source = trained / "data" / "disc"
    assert retrain("guess-dir", trained, source, tmp_path / "sorted").returncode == 0
    with (tmp_path / "sorted" / "results.csv").open(newline="") as file:
        row = list(csv.DictReader(file))[3]
    (line, *_) = retrain("guess", trained, row["source"]).stdout.splitlines()
    assert line == f"{row['category']} (score = {row['score']})"


def test_a_bundle_without_int8_guesses_in_float32_and_says_so_when_asked(
    trained: Path, tmp_path: Path, by_precision: dict[str, list[dict[str, float]]]
) -> None:
    root = copy_of(trained, tmp_path)
    change_cascade(root)
    assert scores(root) == by_precision["float32"]
    picture = next((root / "data").rglob("*.jpg"))
    result = retrain("guess", root, picture, "--precision", "int8")
    assert result.returncode == 5
    assert "Guesses in int8 need an int8 model." in result.stderr
    assert "See --precision." in result.stderr


@pytest.mark.parametrize("name", ["model.int8.tflite", "head.int8.npz"])
def test_a_damaged_int8_file_is_named(name: str, trained: Path, tmp_path: Path) -> None:
    root = copy_of(trained, tmp_path)
    (root / "model" / name).write_bytes(b"nothing")
    picture = next((root / "data").rglob("*.jpg"))
    result = retrain("guess", root, picture, "--precision", "int8")
    assert result.returncode == 5
    assert name in result.stderr
    assert result.stderr.count("\n") == 1
