"""Comparing backbones by their heads before a training, which goes on with the best of them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from commands import QUICKEST, refused, retrain
from pictures import write_workspace
from retrain.jobs.backbones import Tried, preferred

BEST = Tried("best", np.array([0.1, 0.1, 0.2, 0.1]), 1.0, 0.04, 40)
EQUAL = Tried("equal", np.array([0.1, 0.2, 0.1, 0.1]), 1.0, 0.02, 30)  # worse in one picture only
POOR = Tried("poor", np.array([0.9, 0.8, 0.9, 0.9]), 0.5, 0.01, 10)


@pytest.mark.parametrize(
    ("prefer", "name"), [("accurate", "best"), ("fast", "equal"), ("small", "equal")]
)
def test_fast_and_small_are_chosen_among_those_no_worse_beyond_chance(
    prefer: str, name: str
) -> None:
    assert preferred([POOR, BEST, EQUAL], prefer)[0].name == name  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_training_goes_on_with_the_best_of_those_whose_weights_are_there(
    tmp_path: Path,
) -> None:
    root = write_workspace(tmp_path / "é", each=8)
    compare = ("--compare", "mobilenetv2_035, efficientnet_lite0,mobilenetv2_035")
    result = retrain("train", root, *QUICKEST, *compare, "--prefer", "small", "--json")
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"^  (\w+) +[01]\.\d{4} +\d\.\d{4} +[\d.]+ +([\d.]+)$", result.stderr, re.M)
    assert [name for name, _ in rows] == ["mobilenetv2_035", "efficientnet_lite0"]
    manifest = json.loads(result.stdout)
    assert manifest["backbone"] in dict(rows)
    assert manifest["backbone_reason"].endswith("of 2 compared")
    again = retrain("train", root, *QUICKEST, *compare, "--prefer", "small", "--json")
    assert json.loads(again.stdout)["backbone"] == manifest["backbone"]


@pytest.mark.slow
def test_without_weights_of_any_there_is_nothing_to_compare(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, each=4)
    empty = str(tmp_path / "keras")
    result = retrain("train", root, "--compare", "resnet50,xception", KERAS_HOME=empty)
    message = refused(result, 4)
    assert "resnet50, xception" in message
    assert "xception is left out of the comparison" in result.stderr
    assert not (root / "runs").exists() or not list((root / "runs").iterdir())


@pytest.mark.parametrize("names", ["lite7", "efficientnet_lite0,auto"])
def test_names_that_are_no_backbones_are_refused(names: str, tmp_path: Path) -> None:
    root = write_workspace(tmp_path, each=4)
    message = refused(retrain("train", root, "--compare", names), 2)
    assert "The backbone must be one of " in message
    assert message.endswith(f"Received: {names.split(',')[-1]!r}. See --compare.")
