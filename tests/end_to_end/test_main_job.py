"""The main job with the real command lines: train, guess, sort, reuse the SavedModel."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from commands import QUICKEST, SHARED, environment, retrain
from pictures import CATEGORIES, write_jpegs, write_workspace
from retrain.model.backbones import backbone_named
from retrain.model.build import build_backbone
from retrain.model.weights import obtain

KERAS_WEIGHTS = SHARED / "keras" / "models"


def manifest(root: Path) -> dict[str, object]:
    values: dict[str, object] = json.loads((root / "model" / "manifest.json").read_text())
    return values


def untouched(run: Path) -> bool:
    """Tell whether the backbone has the weights that it began with."""
    backbone = backbone_named("efficientnet_lite0")
    network = build_backbone(backbone, 128, obtain(backbone, "imagenet", lambda _: None))
    model = keras.models.load_model(run / "model.keras")
    now = {variable.path: variable.numpy() for variable in model.variables}
    return all(np.array_equal(variable, now[variable.path]) for variable in network.variables)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_train_guess_sort_and_reuse(tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf files é", each=20)
    (root / "data" / "disc" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    options = (  # so low a rate gains nothing
        *("--size", "128", "--fine-tune", "always", "--epochs", "2", "--tune-folds", "1"),
        *("--lr", "1e-7"),
    )
    result = retrain("train", root, *options)
    assert result.returncode == 0, result.stderr
    assert "Skipped disc/broken.jpg" in result.stderr
    assert "Fine-tuning: the last 3 of 5 layer groups" in result.stderr
    assert "The head alone is kept: " in result.stderr
    assert result.stdout.startswith("On pictures like these: ")
    assert "\nThe head, cross-validated: accuracy " in result.stdout

    run = (root / "model").resolve()
    assert not (root / "model").readlink().is_absolute()
    files = {path.name for path in run.iterdir()}
    assert files >= {
        "manifest.json",
        "labels.txt",
        "model.keras",
        "saved_model",
        "model.tflite",
        "config.json",
        "split.csv",
        "skipped.csv",
        "history.csv",
        "metrics.json",
        "out_of_fold.csv",
        "fold_heads.npz",
    }
    assert "checkpoints" not in files
    assert manifest(root)["kept"] == "head"
    assert untouched(run)
    assert [row["path"] for row in rows(run / "skipped.csv")] == ["disc/broken.jpg"]
    assert {row["stage"] for row in rows(run / "history.csv")} == {"head", "fine_tune"}
    assert manifest(root)["labels"] == sorted(CATEGORIES)
    assert manifest(root)["checks"]["passed"] is True  # type: ignore[index]

    fresh = [p for c in CATEGORIES for p in write_jpegs(tmp_path / "new", c, 4, start=100)]
    guessed = retrain("guess", root, *fresh, "--json")
    assert guessed.returncode == 0, guessed.stderr
    answers = {entry["source"]: entry["scores"] for entry in json.loads(guessed.stdout)}
    best = [max(answers[str(path)], key=answers[str(path)].get) for path in fresh]
    right = sum(guess == path.parent.name for guess, path in zip(best, fresh, strict=True))
    assert right >= 11

    sorted_copies = retrain("guess-dir", root, tmp_path / "new", tmp_path / "sorted", "-r")
    assert sorted_copies.returncode == 0, sorted_copies.stderr
    table = rows(tmp_path / "sorted" / "results.csv")
    assert [row["source"] for row in table] == sorted(map(str, fresh))
    for row in table:
        assert row["copy"].startswith(f"{row['category']}-{row['score']}")
        copy = tmp_path / "sorted" / row["copy"]
        assert copy.read_bytes() == Path(row["source"]).read_bytes()
        assert float(row["score"]) == pytest.approx(max(answers[row["source"]].values()), abs=1e-4)

    bare = subprocess.run(
        [
            sys.executable,
            "-I",
            str(Path(__file__).with_name("bare_tensorflow.py")),
            str(run / "saved_model"),
            *map(str, fresh),
        ],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert bare.returncode == 0, bare.stderr
    for path, scores in json.loads(bare.stdout.splitlines()[-1]).items():
        for category, score in scores.items():
            assert score == pytest.approx(answers[path][category], abs=0.02)


def test_noise_teaches_nothing(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, each=60, categories=("this", "that"))
    result = retrain("train", root, "--size", "64", "--fine-tune", "never", "--no-int8", "--json")
    assert result.returncode == 0, result.stderr
    metrics = json.loads(result.stdout)["metrics"]
    judged = metrics["cross_fitted"]
    assert judged["pictures"] == 120
    assert judged["accuracy"] < 0.6 + 1.64 * (0.25 / 120) ** 0.5  # chance is 0.5; one-sided 95 %
    assert judged["interval_95"][0] < 0.6


def test_the_same_seed_gives_the_same_model_and_another_run_keeps_the_split(
    tmp_path: Path,
) -> None:
    root = write_workspace(tmp_path, each=12)
    first = retrain("train", root, *QUICKEST)
    assert first.returncode == 0, first.stderr
    run = (root / "model").resolve()
    second = retrain("train", root, *QUICKEST)
    assert second.returncode == 0, second.stderr
    again = (root / "model").resolve()
    assert again != run
    assert "were cached" in second.stderr
    for name in ("metrics.json", "split.csv", "out_of_fold.csv"):
        assert (run / name).read_text() == (again / name).read_text()


@pytest.mark.parametrize(
    ("backbone", "int8"), [("resnet50", "--int8"), ("inceptionv3", "--no-int8")]
)
def test_a_large_backbone_goes_all_the_way_from_scratch_weights(
    backbone: str, int8: str, tmp_path: Path
) -> None:
    root = write_workspace(tmp_path, each=6, categories=("disc", "stripes"))
    options = ("--backbone", backbone, "--weights", "none", "--size", "75")
    tuning = ("--fine-tune", "always", "--epochs", "1", "--groups", "1", "--tune-folds", "1")
    result = retrain("train", root, int8, *options, *tuning)
    assert result.returncode == 0, result.stderr
    assert "Fine-tuning: the last layer group" in result.stderr
    assert manifest(root)["backbone"] == backbone
    assert manifest(root)["weights_sha256"] is None
    assert retrain("guess", root, next((root / "data" / "disc").iterdir())).returncode == 0


@pytest.mark.skipif(not KERAS_WEIGHTS.is_dir(), reason="needs real MobileNetV2 weights beside us")
def test_mobilenetv2_with_real_weights_goes_all_the_way(tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf_files", each=20)
    shutil.copytree(KERAS_WEIGHTS, tmp_path / "keras" / "models")
    options = ("--backbone", "mobilenetv2_035", "--size", "96", "--fine-tune", "never", "--json")
    result = retrain("train", root, *options, KERAS_HOME=str(tmp_path / "keras"))
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["weights"] == "imagenet"
    assert values["metrics"]["cross_fitted"]["accuracy"] >= 0.8
