"""train on a cluster: the model of one machine, whoever is lost on the way."""

import csv
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clusters import SECRET, Nodes, on_nodes, ray_nodes, without
from commands import PATIENCE, command, environment, refused, retrain
from pictures import write_workspace

pytestmark = pytest.mark.slow
TUNED = (
    *("--size", "96", "--minutes", "0", "--fine-tune", "always", "--epochs", "6"),
    *("--tune-folds", "1", "--lr", "1e-5:1e-4", "--batch", "8"),
    *("--no-int8", "--no-relate", "--no-reference"),
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_workspace(tmp_path_factory.mktemp("together") / "tf files é", each=12)


@pytest.fixture(scope="module")
def losses(workspace: Path) -> np.ndarray:
    """What one machine comes to, round by round: train loss and valid loss, [rounds, 2]."""
    alone = copied(workspace, workspace.parent / "alone")
    result = retrain("train", alone, *TUNED)
    assert result.returncode == 0, result.stderr
    return losses_of(alone)


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with ray_nodes() as started:
        yield started


def copied(workspace: Path, place: Path) -> Path:
    shutil.copytree(workspace / "data", place / "data")
    return place


def losses_of(root: Path) -> np.ndarray:
    with (root / "model" / "history.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["stage"] == "fine_tune"]
    assert rows
    return np.array([[float(row["train_loss"]), float(row["valid_loss"] or 0)] for row in rows])


def test_two_nodes_come_to_the_losses_of_one_machine_though_one_is_killed(
    workspace: Path, losses: np.ndarray, tmp_path: Path, nodes: Nodes
) -> None:
    root = copied(workspace, tmp_path / "ä")
    nodes.add()
    second = nodes.add()
    line = command("train", root, *TUNED, "--cluster", nodes.address)
    said = tmp_path / "said"
    with (
        said.open("w") as file,
        subprocess.Popen(line, env=environment(**SECRET), stdout=file, stderr=file) as driver,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while "\n  2 " not in said.read_text():  # the second of eight rounds is over
                assert driver.poll() is None, said.read_text()
                assert time.monotonic() < deadline, said.read_text()
                time.sleep(0.02)
            os.kill(nodes.worker(second), signal.SIGKILL)
            assert driver.wait(PATIENCE) == 0, said.read_text()
        finally:
            driver.kill()
    text = said.read_text()
    assert "features of 36 pictures" in text or "Features: computing those of 36" in text
    assert "Fine-tuning on 2 nodes." in text
    assert "was lost. Fine-tuning goes on from step" in text
    together = losses_of(root)
    np.testing.assert_allclose(together, losses, atol=1e-3)


def test_a_node_without_the_folder_is_named(workspace: Path, tmp_path: Path, nodes: Nodes) -> None:
    root = copied(workspace, tmp_path / "tf_files")
    nodes.add(*without(root / "data"))
    nodes.add()
    message = refused(on_nodes("train", root, *TUNED, "--cluster", nodes.address), 3)
    assert "each node must see the workspace at the same path" in message
    assert not (root / "model").exists()
