"""The container's exit code is the tool's, and its error stays one line on stderr."""

import fcntl
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from commands import QUICK, refused
from containers import Project
from pictures import write_workspace
from retrain.model.backbones import backbone_named
from retrain.model.weights import ready_file


def test_2_a_wrong_command_line(project: Project, workspace: Path) -> None:
    message = refused(project.run("train.sh", workspace, "--xyzzy"), 2)
    assert message == "retrain: No such option '--xyzzy'. See retrain train --help"


def test_3_no_pictures(project: Project, tmp_path: Path) -> None:
    assert f"{tmp_path}/data/<category>/" in refused(project.run("train.sh", tmp_path), 3)


def test_4_weights_of_the_users_cache_are_seen_and_checked(
    project: Project, tmp_path: Path
) -> None:
    weights = tmp_path / "keras" / "models" / str(backbone_named("resnet50").weights_file)
    weights.parent.mkdir(parents=True)
    weights.write_text("no weights at all")
    root = write_workspace(tmp_path / "tf_files", each=2)
    result = project.run(
        "train.sh", root, "--backbone", "resnet50", KERAS_HOME=str(tmp_path / "keras")
    )
    assert f"{weights} is damaged" in refused(result, 4)


@pytest.mark.parametrize("script", ["guess.sh", "guessDir.sh"])
def test_5_no_model(script: str, project: Project, picture: Path, tmp_path: Path) -> None:
    rest = (picture,) if script == "guess.sh" else (picture.parent, tmp_path / "sorted")
    result = project.run(script, tmp_path, *rest)
    assert f"There is no model in {tmp_path}. Train one first." in refused(result, 5)


def test_6_a_picture_that_cannot_be_read(
    project: Project, workspace: Path, picture: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(picture.read_bytes()[:600])
    result = project.run("guess.sh", workspace, broken, picture)
    assert result.returncode == 6
    assert "disc (score = " in result.stdout
    first, last = result.stderr.splitlines()
    assert first.startswith(f"retrain: {broken}: ")
    assert last == "retrain: 1 of 2 pictures could not be guessed."


def test_7_a_model_that_its_exports_contradict_is_not_published(
    project: Project, own: Path, tmp_path: Path
) -> None:
    published = (own / "model").readlink()
    weights = ready_file(backbone_named("efficientnet_lite0"))
    assert weights is not None
    content = bytearray(weights.read_bytes())
    content[-400_000:-396_000] = np.full(1000, np.nan, "<f4").tobytes()  # of the last kernel
    (tmp_path / "nan.pth").write_bytes(content)
    shutil.rmtree(own / "data" / "stripes")
    result = project.run("train.sh", own, *QUICK, "--weights", tmp_path / "nan.pth")
    assert "The run is kept, the published model is as before." in refused(result, 7)
    assert (own / "model").readlink() == published
    assert len(list((own / "runs").glob("*/manifest.json"))) == 2


def test_8_a_workspace_that_another_training_holds(project: Project, own: Path) -> None:
    with (own / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"process {os.getpid()} of a test")
        lock.flush()
        message = refused(project.run("train.sh", own), 8)
    assert f"{own} at a time; process {os.getpid()} of a test is running one." in message
