"""A training whose fine-tuned model is the better one, in mixed precision; also a killed one."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from browser import CONTRASTS, READABLE, Scheme, needs_browser, opened
from commands import kill_when, retrain
from pictures import PAIRS, write_workspace
from retrain.features import weights_digest
from retrain.model.backbones import backbone_named
from retrain.model.build import build_backbone
from retrain.model.weights import obtain

EACH = 120  # pictures of a category
ROUND_2 = r"^ +2 +18 "  # as the table has it
FOLD_2 = r"so that fold 2 of 5(.|\n)*^ +3 +\d+ "
REFIT = r"once more on all(.|\n)*^ +3 +\d+ "
TUNING = (  # with which fine-tuning beat the head on PAIRS, with each of four seeds
    *("--size", "64", "--fine-tune", "always", "--epochs", "6", "--batch", "16", "--minutes", "0"),
    *("--no-crop", "--no-int8", "--no-relate", "--precision", "mixed_bfloat16"),
    *("--tune-folds", "2"),
)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose published model is a fine-tuned one. Do not change it."""
    root = write_workspace(tmp_path_factory.mktemp("tuned"), EACH, PAIRS)
    result = retrain("train", root, *TUNING)
    assert result.returncode == 0, result.stderr
    assert "The fine-tuned model is kept: " in result.stderr, result.stderr
    return root


def test_the_tuned_model_is_published_in_float32(tuned: Path) -> None:
    manifest = json.loads((tuned / "model" / "manifest.json").read_text())
    assert manifest["kept"] == "fine_tune"
    assert manifest["precision"] == "mixed_bfloat16"
    assert manifest["checks"]["passed"]
    assert manifest["metrics"]["judged_by"] == "fine_tuned"
    assert manifest["metrics"]["fine_tuned"]["macro_f1"] > 0.8
    assert manifest["metrics"]["cross_fitted"]["pictures"] == 2 * EACH  # the head's, for comparison
    model = keras.models.load_model(tuned / "model" / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    backbone = backbone_named("efficientnet_lite0")
    pretrained = build_backbone(backbone, 64, obtain(backbone, "imagenet", lambda _: None))
    before = {variable.path: variable.numpy() for variable in pretrained.variables}
    after = {variable.path: variable.numpy() for variable in model.variables}
    moved = {path for path in before if not np.array_equal(before[path], after[path])}
    assert "head_conv/kernel" in moved
    assert not any("moving" in path for path in moved)


def test_what_is_published_has_learned_from_all_pictures_after_two_folds_judged(
    tuned: Path,
) -> None:
    run = tuned / "model"
    with (run / "out_of_fold.csv").open(newline="") as file:
        answers = list(csv.DictReader(file))
    with (run / "split.csv").open(newline="") as file:
        folds = {row["path"]: row["fold"] for row in csv.DictReader(file)}
    assert {row["side"] for row in answers} == {"fold 0", "fold 1"}
    assert {row["path"] for row in answers} == {name for name in folds if folds[name] in "01"}
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["fine_tuned"]["pictures"] == len(answers)
    assert metrics["calibration"]["source"] == "cross-fitted"
    assert metrics["calibration"]["pictures"] == len(answers)
    assert json.loads((run / "manifest.json").read_text())["plan"]["refitted"]
    assert "of 2 fine-tuned models, each judged on pictures" in metrics["in_words"][-1]
    assert f"on all {2 * EACH}" in metrics["in_words"][-1]
    assert len(losses(tuned)["fold_1"]) == len(losses(tuned)["refit"]) == 8
    assert {valid for _, valid in losses(tuned)["refit"]} == {""}


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_curves_in_its_report_can_be_read(scheme: Scheme, tuned: Path) -> None:
    with opened(tuned / "model" / "report.html", scheme) as view:
        contrasts = view.evaluate(CONTRASTS)
        assert view.locator("svg text", has_text="learning rate").count() == 2
        assert view.locator(".losses img").count() == 48
    assert [entry for entry in contrasts if entry[1] < READABLE] == []


def digest(root: Path) -> str:
    return weights_digest(keras.models.load_model(root / "model" / "model.keras"))


def test_killed_in_each_stage_it_ends_with_the_same_weights(tuned: Path, tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf é", EACH, PAIRS)

    def some(pattern: str) -> Callable[[str], bool]:
        return lambda _: any(path.stat().st_size for path in root.glob(pattern))

    kill_when(root, lambda said: "Backbone:" in said, *TUNING)  # while pictures are checked
    kill_when(root, some("bottlenecks/*.features"), *TUNING)
    kill_when(root, lambda said: "Head:" in said, *TUNING)
    kill_when(root, lambda said: bool(re.search(ROUND_2, said, re.MULTILINE)), *TUNING)
    kill_when(root, lambda said: bool(re.search(FOLD_2, said, re.MULTILINE)), *TUNING)
    kill_when(root, lambda said: bool(re.search(REFIT, said, re.MULTILINE)), *TUNING)
    said = kill_when(root, lambda said: "Exporting" in said, *TUNING)
    assert "Going on with the interrupted training" in said
    assert "Fine-tuning: going on after step" in said
    result = retrain("train", root, *TUNING)
    assert result.returncode == 0, result.stderr
    assert "Fine-tuning: going on after step 72 of 72" in result.stderr
    assert len(list((root / "runs").iterdir())) == 1
    assert digest(root) == digest(tuned)
    for name in ("split.csv", "metrics.json", "labels.txt", "out_of_fold.csv"):
        ours, theirs = (r / "model" / name for r in (root, tuned))
        assert ours.read_text() == theirs.read_text()
    assert losses(root) == losses(tuned)
    assert len(losses(root)["fine_tune"]) == 8


def losses(root: Path) -> dict[str, list[tuple[str, str]]]:
    """Return training and validation loss of each round, by stage, to the last digit."""
    found: dict[str, list[tuple[str, str]]] = {}
    with (root / "model" / "history.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["stage"], []).append((row["train_loss"], row["valid_loss"]))
    return found


@pytest.mark.parametrize("groups", ["2", "3"])
def test_killed_above_stored_views_it_ends_with_the_same_weights(
    groups: str, tmp_path: Path
) -> None:
    options = (
        *(*TUNING, "--tune-folds", "1", "--groups", groups),
        *("--precision", "float32", "--hold-out", "0.2"),
    )
    whole, killed = (
        write_workspace(tmp_path / name, 30, PAIRS) for name in ("whole é", "killed é")
    )
    result = retrain("train", whole, *options)
    assert result.returncode == 0, result.stderr
    kill_when(killed, lambda said: bool(re.search(r"^ +5 +\d+ ", said, re.MULTILINE)), *options)
    result = retrain("train", killed, *options)
    assert result.returncode == 0, result.stderr
    assert "Fine-tuning: going on after step" in result.stderr
    assert losses(killed) == losses(whole)
    assert len(losses(whole)["fine_tune"]) == 8
    assert digest(killed) == digest(whole)
    plan = json.loads((whole / "model" / "manifest.json").read_text())["plan"]
    assert plan["layer_groups"] == int(groups)
    assert plan["stored_views"] == 4
    assert plan["steps"] == plan["steps_planned"] == plan["visits"] / plan["batch"]
    assert not list((whole / "bottlenecks").glob("tmp*"))
    # Guesses score as the training did on pictures for the test.
    metrics = json.loads((whole / "model" / "metrics.json").read_text())["test"]
    result = retrain("evaluate", whole, "--side", "test", "--json")
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["confusion"] == metrics["confusion"]
    assert values["log_loss"] == pytest.approx(metrics["log_loss"], abs=1e-3)
