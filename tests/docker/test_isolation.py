"""What a container may do: read what it is given, write where it must, and nothing else."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from commands import QUICK, refused
from containers import (
    Caller,
    Project,
    Result,
    State,
    Trained,
    container,
    docker,
    inspect,
    state,
)
from pictures import CATEGORIES, write_jpegs, write_workspace

ODD = 'a, "b": c'
CAP_DAC_OVERRIDE = 2  # root reads and writes what belongs to others
CONNECT = "import socket; socket.create_connection(('1.1.1.1', 53), 5)"


def changed(before: State, after: State) -> set[Path]:
    """Return what came, went or is not as it was."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


def test_a_training_writes_to_its_workspace_and_the_weights_cache_alone(
    training: Trained, project: Project
) -> None:
    root = training.root
    touched = {
        path.relative_to(root).parts[:1] for path in changed(training.before, training.after)
    }
    found = {("check.csv",), ("check.json",)}
    assert touched == {(), (".lock",), ("bottlenecks",), ("runs",), ("model",), *found}
    assert {uid for _, _, uid in state(root).values()} == {os.geteuid()}
    assert {uid for _, _, uid in state(project.keras_home).values()} == {os.geteuid()}


def test_a_guess_writes_nothing_and_sorting_to_its_destination_alone(
    workspace: Path, project: Project, tmp_path: Path
) -> None:
    for category in CATEGORIES:
        write_jpegs(tmp_path / "photos", category, 2, start=900)
    around = workspace.parent
    before, cache = state(around), state(project.keras_home)
    place = state(tmp_path)
    pictures = sorted((tmp_path / "photos" / "disc").iterdir())
    guessed = project.run("guess.sh", workspace, *pictures, cwd=tmp_path)
    assert guessed.returncode == 0, guessed.stderr
    assert state(tmp_path) == place
    sorting = project.run("guessDir.sh", workspace, "photos", "new/sorted", "-r", cwd=tmp_path)
    assert sorting.returncode == 0, sorting.stderr
    new = tmp_path / "new"
    touched = changed(place, state(tmp_path)) - {tmp_path}
    assert touched == set(state(new))
    assert len(list((new / "sorted").glob("*.jpg"))) == 6
    assert {uid for _, _, uid in state(new).values()} == {os.geteuid()}
    assert state(around) == before
    assert state(project.keras_home) == cache


@pytest.mark.parametrize(
    ("command", "there"), [("guessDir.sh", False), ("retrain.sh --debug guess-dir", True)]
)
def test_a_container_that_sorts_is_confined(
    command: str, there: bool, workspace: Path, project: Project, tmp_path: Path
) -> None:
    own = CAP_DAC_OVERRIDE if os.geteuid() == 0 else 0
    photos, target = tmp_path / "photos", tmp_path / "sorted"
    photos.mkdir()
    (first,) = write_jpegs(tmp_path, "disc", 1, start=900)
    for number in range(3000):  # enough to look around meanwhile
        (photos / f"{number}.jpg").hardlink_to(first)
    if there:
        target.mkdir()
    with project.started(*command.split(), workspace, photos, target) as process:
        name = container(photos, process)
        found = inspect(name)

        def attempt(*command: str | Path) -> Result:
            return docker("exec", name, *command)

        writable = {mount["Destination"]: mount["RW"] for mount in found["Mounts"]}
        written = attempt("touch", target / "written")
        refused = [
            attempt("touch", folder / "written")
            for folder in (workspace, photos, Path("/usr"), Path("/"))
        ]
        connection = attempt("python", "-c", CONNECT)
        status = dict(
            line.split(":", 1) for line in attempt("cat", "/proc/1/status").stdout.splitlines()
        )
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 143, "done too soon"
    assert writable == {str(workspace): False, str(photos): False, str(target): True}
    assert written.returncode == 0
    for answer in refused:
        assert "Read-only file system" in answer.stderr
    assert "Network is unreachable" in connection.stderr
    assert status["Uid"].split() == [str(os.geteuid())] * 4
    assert int(status["CapEff"], 16) | int(status["CapBnd"], 16) in {0, own}
    assert status["NoNewPrivs"].strip() == "1"
    host = found["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert "no-new-privileges" in host["SecurityOpt"]
    assert host["NetworkMode"] == "none"
    assert host["Init"] is True
    assert host["Privileged"] is False
    assert host["AutoRemove"] is True


def test_all_that_is_made_for_another_user_belongs_to_that_user(
    home: Path, other: Project, member: Caller
) -> None:
    root = write_workspace(home / ODD / "tf_files", each=8)
    write_jpegs(home / "photos", "disc", 2, start=900)
    for path in home.rglob("*"):
        os.chown(path, member.user, member.user, follow_symlinks=False)
    before = state(home)
    trained = other.run("train.sh", f"../{ODD}/tf_files", *QUICK, cwd=root.parent, caller=member)
    assert trained.returncode == 0, trained.stderr
    arguments = (root, "photos/disc", "new/sorted")
    sorting = other.run("guessDir.sh", *arguments, cwd=home, caller=member)
    assert sorting.returncode == 0, sorting.stderr
    after = state(home)
    assert {home / "keras", root / "model", home / "new" / "sorted" / "results.csv"} <= after.keys()
    made = after.keys() - before.keys()
    assert {after[path][2] for path in made} == {member.user}
    assert {path.relative_to(home).parts[0] for path in made} <= {ODD, "new", "keras", ".docker"}


def test_a_destination_that_may_not_be_made_is_named(
    home: Path, other: Project, member: Caller, workspace: Path
) -> None:
    (home / "closed").mkdir(mode=0o755)
    arguments = (home, home / "bin", home / "closed" / "new" / "sorted")
    message = refused(other.run("guessDir.sh", *arguments, caller=member), 8)
    assert message == f"retrain: {home}/closed/new/sorted cannot be made: Permission denied."


def test_a_weights_cache_that_another_user_filled_is_read(
    home: Path, other: Project, member: Caller
) -> None:
    name = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    (home / "keras" / "models").mkdir(parents=True)
    (home / "keras" / "models" / name).write_text("for all to read")
    result = other.run("retrain.sh", "weights", caller=member)
    assert result.returncode == 0, result.stderr
    assert str(home / "keras" / "models" / name) in result.stdout


def test_root_works_on_another_users_files(
    home: Path, project: Project, workspace: Path, picture: Path
) -> None:
    shutil.copytree(workspace, home / "tf_files", symlinks=True)
    shutil.copy(picture, home / "private.jpg")
    (home / "private.jpg").chmod(0o600)
    for path in (home / "private.jpg", home / "tf_files", *(home / "tf_files").rglob("*")):
        os.chown(path, 1234, 1234, follow_symlinks=False)
    guess = project.run("guess.sh", home / "tf_files", home / "private.jpg")
    assert guess.returncode == 0, guess.stderr
    training = project.run("train.sh", home / "tf_files", "--weights", "nowhere.h5")
    assert training.returncode == 4, training.stderr
    assert "No permission" not in training.stderr


@pytest.mark.parametrize("shown", [False, True])
def test_what_a_link_leads_to_is_used_if_it_is_shown_and_named_if_not(
    shown: bool, project: Project, own: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "other disk"
    (alone,) = write_jpegs(outside, "disc", 1, start=900)
    write_jpegs(outside, "rings", 6)
    (own / "data" / "disc" / "linked.jpg").symlink_to(alone)
    (own / "data" / "rings").symlink_to(outside / "rings")
    result = project.run(
        "train.sh", own, "--weights", "nowhere.h5", RETRAIN_MOUNT=str(outside) if shown else ""
    )
    assert result.returncode == 4, result.stderr
    if shown:
        assert "79 pictures in 4 categories, 0 files skipped." in result.stderr
        return
    assert "72 pictures in 3 categories, 1 file skipped." in result.stderr
    assert f"Skipped disc/linked.jpg: a link to {alone}" in result.stderr
    assert str(outside / "rings") in result.stderr
