"""Workspaces on file systems without links or locks: sticks, cards, network drives."""

import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import QUICKEST, refused, retrain
from disks import disk_without_links
from system_calls import SYMLINKS, refusing

pytestmark = pytest.mark.slow  # trains

RUN = "20260101T000000Z-mobilenetv2_035"


@pytest.fixture(params=["a call that fails", "a disk"])
def drive(
    request: pytest.FixtureRequest, tmp_path: Path, old_workspace: Path
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """A workspace where links cannot be, and what to put before commands."""
    if request.param == "a disk":
        with disk_without_links(tmp_path / "stick") as stick:
            root = stick / "tf_files"
            shutil.copytree(old_workspace / "data", root / "data")
            shutil.copytree(old_workspace / "runs", root / "runs")
            yield root, ()
    else:
        (old_workspace / "model").unlink()
        yield old_workspace, refusing(errno.EPERM, *SYMLINKS)


def test_the_model_is_a_file_that_every_command_follows(
    drive: tuple[Path, tuple[str, ...]],
) -> None:
    root, under = drive
    result = retrain("train", root, *QUICKEST, under=under)
    assert result.returncode == 0, result.stderr
    before = result.stderr.split("Backbone: ")[0]
    assert "has no links: model will be a file that holds the run's name.\n" in before
    model = root / "model"
    assert model.is_file()
    assert not model.is_symlink()
    run = root / "runs" / model.read_text().strip()
    assert f"Report: {run / 'report.html'}\n" in result.stdout
    assert (run / "report.html").is_file()
    picture = root / "data" / "red" / "red é 10.jpg"
    lines = [
        *(("guess", root, picture), ("guess", model, picture), ("evaluate", model)),
        *(("explain", model, picture), ("report", model)),
        ("compare", root / "runs" / RUN, model),
    ]
    for line in lines:
        result = retrain(*line, under=under)
        assert result.returncode == 0, (line, result.stderr)
    assert (run / "explained" / "red é 10-gradcam.png").is_file()
    runs = json.loads(retrain("runs", root, "--json").stdout)
    assert [(one["run"], one["published"]) for one in runs] == [(run.name, True), (RUN, False)]
    assert retrain("runs", root, "--use", RUN, "--prune", "0", "--yes", under=under).returncode == 0
    assert model.read_text() == f"{RUN}\n"
    assert [one.name for one in (root / "runs").iterdir()] == [RUN]
    assert not [path for path in root.iterdir() if path.name.startswith(".model")]


def test_a_file_of_that_name_is_replaced_by_a_link_where_links_are(old_workspace: Path) -> None:
    (old_workspace / "model").unlink()
    (old_workspace / "model").write_text(f"{RUN}\n")
    assert retrain("runs", old_workspace, "--use", RUN).returncode == 0
    assert (old_workspace / "model").readlink() == Path("runs", RUN)


def test_a_file_model_of_the_users_is_refused_before_pictures_are_read(
    old_workspace: Path,
) -> None:
    (old_workspace / "model").unlink()
    (old_workspace / "model").write_text("my model\n")
    result = retrain("train", old_workspace, *QUICKEST)
    assert "must be a link that training makes" in refused(result, 8)
    assert "Backbone" not in result.stderr
    assert (old_workspace / "model").read_text() == "my model\n"
    refused(retrain("guess", old_workspace, "x.jpg"), 5)


def test_a_file_system_without_locks_is_a_warning(old_workspace: Path) -> None:
    under = refusing(errno.ENOLCK, "flock")
    result = retrain("train", old_workspace, *QUICKEST, under=under)
    assert result.returncode == 0, result.stderr
    assert "has no locks: nothing keeps a second training out" in result.stderr
    result = retrain("runs", old_workspace, "--use", RUN, under=under)
    assert result.returncode == 0, result.stderr
    assert "has no locks" in result.stderr


def test_doctor_says_what_the_file_system_lacks(old_workspace: Path) -> None:
    under = refusing(errno.EOPNOTSUPP, "flock", *SYMLINKS)
    result = retrain("doctor", old_workspace, "--json", under=under)
    assert result.returncode == 0, result.stderr
    found = {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert found["workspace"]["state"] == "note"
    assert "without links: model will be a file" in found["workspace"]["text"]
    assert "without locks: start only one training" in found["workspace"]["text"]
    assert (old_workspace / "model").readlink() == Path("runs", RUN)
    assert sorted(path.name for path in old_workspace.iterdir()) == ["data", "model", "runs"]


def test_doctor_finds_a_model_that_could_not_be_replaced(old_workspace: Path) -> None:
    (old_workspace / "model").unlink()
    (old_workspace / "model").mkdir()
    result = retrain("doctor", old_workspace, "--json")
    assert result.returncode == 8
    found = {finding["name"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert found["workspace"]["state"] == "wrong"
    assert "must be a link that training makes" in found["workspace"]["text"]
