"""A training that is killed goes on where it was, and ends as if nothing had happened."""

import csv
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from commands import QUICK, command, environment, retrain
from pictures import write_jpegs, write_workspace
from retrain.features import weights_digest

OPTIONS = ("--size", "96", "--fine-tune", "always", "--epochs", "3", "--minutes", "0", "--no-int8")
PATIENCE = 300.0  # seconds until a stage counts as never reached


def kill_when(root: Path, reached: Callable[[str], bool], *options: str) -> str:
    """Start a training and send SIGKILL once `reached` is true of what it said so far."""
    said = root / "said.txt"
    with said.open("w") as file:
        process = subprocess.Popen(
            command("train", root, *options), stdout=file, stderr=file, env=environment()
        )
        deadline = time.monotonic() + PATIENCE
        while not reached(said.read_text()):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.05)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    return said.read_text()


def digest(root: Path) -> str:
    return weights_digest(keras.models.load_model(root / "model" / "model.keras"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_workspace(tmp_path_factory.mktemp("uninterrupted"), each=16)
    result = retrain("train", root, *OPTIONS)
    assert result.returncode == 0, result.stderr
    assert "  3  " in result.stderr
    return root


def test_killed_in_each_stage_it_ends_with_the_same_weights(
    uninterrupted: Path, tmp_path: Path
) -> None:
    root = write_workspace(tmp_path / "tf é", each=16)

    def some(pattern: str) -> Callable[[str], bool]:
        return lambda _: any(path.stat().st_size for path in root.glob(pattern))

    kill_when(root, lambda said: "Backbone:" in said, *OPTIONS)  # while pictures are checked
    kill_when(root, some("bottlenecks/*.features"), *OPTIONS)
    kill_when(root, lambda said: "Head:" in said, *OPTIONS)
    kill_when(root, some("runs/*/checkpoints/best.npz"), *OPTIONS)
    said = kill_when(root, lambda said: "Exporting" in said, *OPTIONS)
    assert "Going on with the interrupted training" in said
    assert "Fine-tuning: going on after epoch" in said
    result = retrain("train", root, *OPTIONS)
    assert result.returncode == 0, result.stderr
    assert "Fine-tuning: going on after epoch 3 of 3" in result.stderr
    assert len(list((root / "runs").iterdir())) == 1
    assert digest(root) == digest(uninterrupted)
    for name in ("split.csv", "metrics.json", "labels.txt"):
        ours, theirs = (r / "model" / name for r in (root, uninterrupted))
        assert ours.read_text() == theirs.read_text()
    assert losses(root) == losses(uninterrupted)
    assert len(losses(root)["fine_tune"]) == 3


def losses(root: Path) -> dict[str, list[tuple[str, str]]]:
    """Return training and validation loss of each epoch, by stage, to the last digit."""
    found: dict[str, list[tuple[str, str]]] = {}
    with (root / "model" / "history.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["stage"], []).append((row["train_loss"], row["valid_loss"]))
    return found


def test_with_changed_data_or_options_it_says_so_and_starts_over(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, each=8)
    for _ in range(2):
        said = kill_when(root, lambda said: "Exporting" in said, *QUICK)
    assert "Going on with" in said
    write_jpegs(root / "data", "disc", 2, start=50)
    said = kill_when(root, lambda said: "Exporting" in said, *QUICK, "--seed", "3")
    line = next(line for line in said.splitlines() if line.startswith("Starting over"))
    assert "2 pictures came, 0 went; seed was 0, is 3." in line
    said = kill_when(root, lambda said: "Exporting" in said, *QUICK, "--seed", "3", "--fresh")
    assert "Going on" not in said
    grouped = ("--seed", "3", "--group-by", r"(\d)\.jpg")
    said = kill_when(root, lambda said: "Exporting" in said, *QUICK, *grouped)
    assert "pictures changed sides or groups; split.group_by was None" in said
    result = retrain("train", root, *QUICK, "--seed", "3")
    assert result.returncode == 0, result.stderr
    assert "Going on with" in result.stderr  # a command that was stopped has not cost anything
    assert len(list((root / "runs").iterdir())) == 1  # what was interrupted is cleared away
