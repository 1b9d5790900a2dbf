"""What an earlier version wrote goes on working: its workspace, and its run alone as a bundle."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from commands import QUICKEST, ROOT, retrain

RUN = "20260101T000000Z-mobilenetv2_035"
EXPECTED = json.loads((ROOT / "tests" / "fixtures" / "workspace-0.1.json").read_text("utf-8"))


def as_json(*arguments: str | Path) -> Any:
    result = retrain(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def sides(run: Path) -> dict[str, str]:
    with (run / "split.csv").open(encoding="utf-8", newline="") as file:
        return {row["key"]: row["side"] for row in csv.DictReader(file)}


def taken_over(before: dict[str, str]) -> dict[str, str]:
    """Return the sides of the next training: the test stays, and validation joins training."""
    assert set(before.values()) == {"train", "validation", "test"}
    return {key: "test" if side == "test" else "train" for key, side in before.items()}


@pytest.mark.parametrize("place", [".", "model", "bundle"])
def test_it_guesses_as_it_did(place: str, old_workspace: Path) -> None:
    shutil.copytree(old_workspace / "model", old_workspace / "bundle")
    names = [guess["source"] for guess in EXPECTED["guesses"]]
    pictures = [old_workspace.parent / name for name in names]
    found = as_json("guess", old_workspace / place, *pictures)
    for guess, before in zip(found, EXPECTED["guesses"], strict=True):
        assert next(iter(guess["scores"])) == next(iter(before["scores"]))
        assert guess["scores"] == pytest.approx(before["scores"], abs=1e-3)


def test_it_is_evaluated_as_it_was(old_workspace: Path) -> None:
    found, before = as_json("evaluate", old_workspace), EXPECTED["evaluation"]
    assert found["confusion"] == before["confusion"]
    assert found["log_loss"] == pytest.approx(before["log_loss"], abs=1e-3)
    assert {p["name"] for p in found["predictions"]} == {p["name"] for p in before["predictions"]}


def test_its_report_is_written_anew_and_a_picture_explained(old_workspace: Path) -> None:
    before = (old_workspace / "model" / "report.html").read_text("utf-8")
    result = retrain("report", old_workspace)
    assert (result.returncode, result.stderr) == (0, "")
    after = (old_workspace / "model" / "report.html").read_text("utf-8")
    assert after.count("<figure") >= before.count("<figure") > 10  # doubtful pictures, too
    picture = old_workspace / "data" / "red" / "red é 10.jpg"
    assert as_json("explain", old_workspace, picture)[0]["categories"] == ["red"]


def test_a_training_on_top_keeps_its_test_and_is_compared_with_it(old_workspace: Path) -> None:
    before = sides(old_workspace / "model")
    result = retrain("train", old_workspace, *QUICKEST)
    assert result.returncode == 0, result.stderr
    assert sides(old_workspace / "model") == taken_over(before)
    runs = as_json("runs", old_workspace)
    assert [(run["run"] == RUN, run["published"]) for run in runs] == [(False, True), (True, False)]
    compared = as_json("compare", old_workspace / "runs" / RUN, old_workspace / "model")
    held_back = EXPECTED["evaluation"]["pictures"]
    assert [scores["pictures"] for scores in compared["scores"]] == [held_back, held_back]
    metrics = json.loads((old_workspace / "model" / "metrics.json").read_text("utf-8"))
    assert metrics["judged_by"] == "cross_fitted"
    assert metrics["test"]["pictures"] == held_back  # reported apart
    assert "validation" not in metrics


def test_its_test_pictures_are_learned_from_only_where_that_is_asked_for(
    old_workspace: Path,
) -> None:
    result = retrain("train", old_workspace, *QUICKEST, "--hold-out", "0")
    assert result.returncode == 0, result.stderr
    assert set(sides(old_workspace / "model").values()) == {"train"}


def test_a_copy_of_a_run_does_not_give_the_next_training_its_split(old_workspace: Path) -> None:
    before = sides(old_workspace / "model")
    backup = old_workspace / "runs" / "old-backup"
    shutil.copytree(old_workspace / "model", backup)
    text = (backup / "split.csv").read_text("utf-8")
    (backup / "split.csv").write_text(text.replace(",test", ",train"), "utf-8")
    result = retrain("train", old_workspace, *QUICKEST)
    assert result.returncode == 0, result.stderr
    assert sides(old_workspace / "model") == taken_over(before)


def test_series_with_test_pictures_take_no_category_from_training(old_workspace: Path) -> None:
    before = sides(old_workspace / "model")
    result = retrain("train", old_workspace, *QUICKEST, "--relate")
    assert result.returncode == 0, result.stderr
    assert " pairs of a series were found (related.csv names them)" in result.stderr
    assert "would have left a category without training pictures" in result.stderr
    assert " pictures left training, because they belong together with" in result.stderr
    assert " --hold-out 0 learns from all pictures; --no-relate keeps them " in result.stderr
    after = sides(old_workspace / "model")
    assert {key for key, side in before.items() if side == "test"} <= {
        key for key, side in after.items() if side == "test"
    }
    labels = (old_workspace / "model" / "labels.txt").read_text("utf-8").split()
    assert labels == ["blue", "green", "red"]
    assert (old_workspace / "model" / "related.csv").is_file()
