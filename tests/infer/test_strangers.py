"""What a trained model keeps to tell strangers, and that every engine tells the same."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import QUICKEST, refused, retrain
from pictures import CATEGORIES, draw, write_workspace
from retrain.infer.familiar import MOST_PER_CATEGORY, read_reference
from retrain.infer.guess import Guess
from retrain.infer.model import Model
from retrain.workspace import open_run


@pytest.fixture(scope="module")
def own() -> list[Image.Image]:
    """Pictures of the model's categories that it has not seen."""
    return [draw(category, 950 + i) for category in CATEGORIES for i in range(60)]


STRANGERS = [Image.new("RGB", (90, 80), colour) for colour in ("white", "black", "red")]


def guesses(root: Path, precision: str, pictures: list[Image.Image]) -> list[Guess]:
    model = Model(open_run(root), precision=precision)  # type: ignore[arg-type]
    return list(model.guess_all(pictures))


@pytest.mark.parametrize("precision", ["float32", "int8", "auto"])
def test_strangers_are_told_and_hardly_any_picture_of_its_kind(
    trained: Path, own: list[Image.Image], precision: str
) -> None:
    assert all(guess.unlike for guess in guesses(trained, precision, STRANGERS))
    assert np.mean([guess.unlike for guess in guesses(trained, precision, own)]) <= 0.05


def test_int8_and_float32_agree(trained: Path, own: list[Image.Image]) -> None:
    exact, quick = (guesses(trained, name, own) for name in ("float32", "int8"))
    pairs = np.array([(a.familiar, b.familiar) for a, b in zip(exact, quick, strict=True)])
    assert np.median(np.abs(pairs[:, 0] - pairs[:, 1])) < 0.1
    assert np.mean([a.unlike == b.unlike for a, b in zip(exact, quick, strict=True)]) >= 0.95


def test_the_reference_is_small_and_holds_no_pixels(trained: Path) -> None:
    run = open_run(trained)
    reference = read_reference(run.reference)
    said = run.manifest.reference
    assert reference is not None
    assert said is not None
    assert len(reference.features) == said["pictures"] <= len(CATEGORIES) * MOST_PER_CATEGORY
    assert said["least_familiar"] == reference.limit
    assert run.reference.stat().st_size < 2 * reference.features.size + 4096


def test_without_a_reference_nothing_is_called_strange(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, each=5)
    assert retrain("train", root, *QUICKEST, "--no-reference").returncode == 0
    run = open_run(root)
    assert not run.reference.exists()
    assert run.manifest.reference is None
    result = retrain("guess", root, next((root / "data" / "disc").iterdir()), "--json")
    (found,) = json.loads(result.stdout)
    assert (found["familiar"], found["unlike"]) == (None, False)


def test_a_damaged_reference_is_told(trained: Path, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(trained / "model", root, ignore=shutil.ignore_patterns("saved_model"))
    (root / "reference.npz").write_bytes(b"PK damaged")
    message = refused(retrain("guess", root, next((trained / "data" / "disc").iterdir())), 5)
    assert "reference.npz" in message
