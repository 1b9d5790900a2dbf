"""Odd data, the sheet of views, the learning rate finder, and what a run leaves to look at."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from commands import QUICK, QUICKEST, refused, retrain
from pictures import write_jpegs, write_workspace
from retrain.cli.lr_find import curve

TINY = ("--size", "64", "--no-int8", "--minutes", "0")


def tags(folder: Path) -> set[str]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return {tag for kind in ("tensors", "images") for tag in events.Tags()[kind]}


def test_four_pictures_a_category_in_one_batch_larger_than_the_data(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, each=4)
    tuning = (
        "--fine-tune",
        "always",
        "--epochs",
        "1",
        "--tune-folds",
        "1",
        "--batch",
        "500",
        "--augment",
        "strong",
    )
    result = retrain("train", root, *TINY, *tuning)
    assert result.returncode == 0, result.stderr
    assert "with fewer than 20 a model is rarely reliable" in result.stderr
    assert " is kept" in result.stderr
    run = root / "model"
    with Image.open(run / "history.png") as plot:
        assert plot.width > 600
    assert tags(run / "logs" / "head") >= {"epoch/train_loss", "epoch/valid_loss"}
    assert tags(run / "logs" / "fine_tune") >= {
        *("batch/loss", "batch/learning_rate", "batch"),
        *("epoch/valid_loss", "epoch/macro_f1", "confusion"),
    }


def test_a_rare_category_beside_a_hundred_times_larger_one(tmp_path: Path) -> None:
    write_jpegs(tmp_path / "data", "disc", 400)
    write_jpegs(tmp_path / "data", "stripes", 4)
    result = retrain("train", tmp_path, *QUICK, "--size", "64", "--balance", "auto", "--json")
    assert result.returncode == 0, result.stderr
    assert "Balance: 'disc' has" in result.stderr
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    calibration = metrics["calibration"]
    assert (calibration["source"], calibration["pictures"]) == ("cross-fitted", 404)
    assert calibration["temperature"] == json.loads(result.stdout)["temperature"]
    support = {one["category"]: one["support"] for one in metrics["cross_fitted"]["categories"]}
    assert support == {"disc": 400, "stripes": 4}


@pytest.mark.parametrize("rates", ["10", "0", "-1", "1e-3:1e-5", "1e-5:1e-4:1e-3", "fast", "nan"])
def test_learning_rates_that_make_no_sense_are_refused(rates: str, tmp_path: Path) -> None:
    message = refused(retrain("train", tmp_path, f"--lr={rates}"), 2)
    assert "two rising ones such as 1e-4:1e-3" in message
    assert repr(rates) in message


def test_a_sheet_of_views_without_tensorflow(tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf é", each=8, categories=("$x$", "<b>", "squares"))
    before = {path: path.read_bytes() for path in sorted((root / "data").rglob("*.jpg"))}
    result = retrain("show-batch", root, "--augment", "strong", "--no-flip", "--json")
    assert result.returncode == 0, result.stderr
    sheet = json.loads(result.stdout)
    assert len(sheet["pictures"]) == 6
    assert {name.split("/")[0] for name in sheet["pictures"]} == {"$x$", "<b>", "squares"}
    with Image.open(sheet["path"]) as image:
        assert (image.format, image.width > 1000, image.height > 1000) == ("PNG", True, True)
    first = Path(sheet["path"]).read_bytes()
    other = tmp_path / "other.png"
    again = retrain("show-batch", root, "--augment", "strong", "--no-flip", "--output", other)
    assert again.stdout == f"Sheet: {other}\n"
    assert other.read_bytes() == first
    (tmp_path / "folder").mkdir()
    inside = retrain("show-batch", root, "--output", tmp_path / "folder")
    assert inside.stdout == f"Sheet: {tmp_path / 'folder' / 'show-batch.png'}\n"
    message = refused(retrain("show-batch", root, "--output", other / "x.png"), 2)
    assert f"where {other} is a file" in message
    assert before == {path: path.read_bytes() for path in sorted((root / "data").rglob("*.jpg"))}


def test_a_learning_rate_is_found_and_nothing_is_trained(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, each=12)
    result = retrain("lr-find", root, "--size", "64", "--json", "--batch", "8")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert len(found["rates"]) == len(found["losses"]) > 20
    assert set(found["suggestions"]) <= {"valley", "steep", "minimum/10"}
    with Image.open(found["plot"]) as plot:
        assert plot.width > 600
    assert not (root / "model").exists()
    assert not (root / "runs").exists()
    drawn = curve(found["rates"], found["losses"]).splitlines()
    assert len(drawn) > 10
    assert any("log10(rate)" in line for line in drawn)


@pytest.mark.parametrize(
    ("minutes", "line"),
    [("0", "a sweep chooses it and takes about "), ("1", "0.001, as configured. A sweep would ")],
)
def test_training_finds_its_rate_only_where_that_is_cheap(
    minutes: str, line: str, tmp_path: Path
) -> None:
    root = write_workspace(tmp_path, each=6)
    tuning = (
        "--fine-tune",
        "always",
        "--find-lr",
        "--tune-folds",
        "1",
        "--epochs",
        "1",
        "--size",
        "160",
    )
    result = retrain("train", root, *QUICKEST, *tuning, "--minutes", minutes)
    assert result.returncode == 0, result.stderr
    assert f"Learning rate: {line}" in result.stderr
