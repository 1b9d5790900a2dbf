"""The tf_files contract, on real folders and with real processes."""

import csv
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from commands import environment
from retrain.data.records import Picture, Side
from retrain.errors import BundleError, DataError, MachineError
from retrain.files import atomic_writer, machine_errors, write_csv, write_json
from retrain.run import Run
from retrain.split_rows import PreviousSplit
from retrain.workspace import Workspace

RUN = "20260101T000000Z-resnet50"
NOT_UTF8 = os.fsdecode(b"caf\xe9.jpg")
HOLD = """
import pathlib, sys
from retrain.workspace import Workspace
with Workspace(pathlib.Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def holder(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the workspace until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(workspace.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def finish(run: Run) -> Run:
    run.manifest_file.write_text(json.dumps({"run": run.name}))
    return run


def test_runs_of_the_same_moment_never_share_a_folder(workspace: Workspace) -> None:
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(workspace.new_run, ["resnet50"] * 20))
    assert len(set(runs)) == 20
    assert all(run.folder.is_dir() for run in runs)


def test_the_model_is_a_relative_link_that_moves_with_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "before")
    workspace.root.mkdir()
    run = finish(workspace.new_run("resnet50"))
    workspace.publish(run)
    assert workspace.model.readlink() == Path("runs", run.name)
    moved = Workspace(workspace.root.rename(tmp_path / "after"))
    assert moved.published() == Run(moved.runs / run.name)


def test_publishing_replaces_the_model_at_no_moment_missing(workspace: Workspace) -> None:
    runs = [finish(workspace.new_run("resnet50")) for _ in range(2)]
    workspace.publish(runs[0])
    done = threading.Event()

    def publish_often() -> None:
        for i in range(500):
            workspace.publish(runs[i % 2])
        done.set()

    publisher = threading.Thread(target=publish_often)
    publisher.start()
    while not done.is_set():
        assert (workspace.model / "manifest.json").read_text()
    publisher.join()
    assert workspace.published() == runs[1]
    assert sorted(path.name for path in workspace.root.iterdir()) == ["model", "runs"]


def test_a_model_folder_of_the_users_is_refused_before_and_after_training(
    workspace: Workspace,
) -> None:
    run = finish(workspace.new_run("resnet50"))
    workspace.model.mkdir()
    (workspace.model / "mine").touch()
    with pytest.raises(MachineError, match="must be a link"):
        workspace.new_run("resnet50")
    with pytest.raises(MachineError, match="must be a link"):
        workspace.publish(run)
    assert (workspace.model / "mine").exists()


@pytest.mark.parametrize(
    "text", ["my model\n", "", ".", "..\n", f"x/{RUN}\n", f"{RUN}/x", f"{RUN}\n{RUN}\n" * 9, "\0"]
)
def test_a_file_model_without_a_name_of_a_run_is_the_users(text: str, workspace: Workspace) -> None:
    finish(workspace.new_run("resnet50"))
    workspace.model.write_text(text)
    assert workspace.published_run() is None
    with pytest.raises(MachineError, match="must be a link"):
        workspace.has_links()
    assert workspace.model.read_text() == text


def test_a_file_model_names_its_run_be_it_there_or_not(workspace: Workspace) -> None:
    copy = Run(workspace.runs / "my best")
    copy.folder.mkdir(parents=True)
    finish(copy)
    for name in (RUN, copy.name):
        workspace.model.write_text(f"{name}\n")
        assert workspace.published_run() == workspace.runs / name
    assert Workspace(workspace.model).published() == copy


def test_trying_a_link_leaves_nothing(workspace: Workspace) -> None:
    assert workspace.has_links()
    assert list(workspace.root.iterdir()) == []


def test_without_a_published_model_the_way_to_one_is_named(workspace: Workspace) -> None:
    finish(workspace.new_run("resnet50"))
    with pytest.raises(BundleError, match=r"Train one first"):
        workspace.published()


def test_a_run_can_be_used_in_place_of_its_workspace(workspace: Workspace) -> None:
    run = finish(workspace.new_run("resnet50"))
    assert Workspace(run.folder).published() == run


def test_a_second_training_is_told_who_holds_the_workspace(
    workspace: Workspace, holder: subprocess.Popen[str]
) -> None:
    with (
        pytest.raises(MachineError, match=f"process {holder.pid} on .* since 20"),
        workspace.lock(),
    ):
        pass


def test_the_lock_is_gone_once_its_holder_was_killed(
    workspace: Workspace, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    with workspace.lock():
        assert f"process {os.getpid()} on " in (workspace.root / ".lock").read_text()


def test_the_lock_is_free_again_after_an_exception(workspace: Workspace) -> None:
    with pytest.raises(KeyboardInterrupt), workspace.lock():
        raise KeyboardInterrupt
    with workspace.lock():
        pass


def test_a_workspace_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a folder"), Workspace(tmp_path / "no").lock():
        pass
    assert not (tmp_path / "no").exists()


def test_the_split_comes_from_the_newest_run_that_was_finished(workspace: Workspace) -> None:
    assert workspace.previous_split() == PreviousSplit({}, {})
    for name, key, finished in (
        ("20250101T000000Z-xception", "old", True),
        ("20260101T000000Z-resnet50", "new", True),
        ("20270101T000000Z-resnet50", "unfinished", False),
    ):
        run = Run(workspace.runs / name)
        run.folder.mkdir(parents=True)
        run.write_split([], {}, {}, {}, PreviousSplit({key: "test"}, {}))
        if finished:
            finish(run)
    assert workspace.previous_split().sides == {"new": "test"}


def test_a_split_survives_names_that_are_not_utf8_and_pictures_that_are_gone(
    workspace: Workspace,
) -> None:
    run = finish(workspace.new_run("resnet50"))
    pictures = [
        Picture(workspace.data / NOT_UTF8, NOT_UTF8, "a", "f" * 64, "group:\n,é", None),
        Picture(workspace.data / "2.jpg", "2.jpg", "a", "e" * 64, "e" * 64, None),
    ]
    sides: dict[str, Side] = {pictures[0].key: "train", pictures[1].key: "test"}
    run.write_split(pictures, sides, {"f" * 64: 3}, {}, PreviousSplit({"gone": "test"}, {}))
    found = workspace.previous_split()
    assert found == PreviousSplit({**sides, "gone": "test"}, {"f" * 64: 3})


def test_a_split_of_an_older_version_has_sides_and_no_folds(workspace: Workspace) -> None:
    run = finish(workspace.new_run("resnet50"))
    run.split.write_text("path,category,key,side\na,b,k,validation\nc,b,l,train\n")
    sides: dict[str, Side] = {"k": "validation", "l": "train"}
    assert workspace.previous_split() == PreviousSplit(sides, {})


@pytest.mark.parametrize("fold", ["", "x", "-1", "2.5", "²"])
def test_rows_that_make_no_sense_are_no_sides_and_no_folds(workspace: Workspace, fold: str) -> None:
    run = finish(workspace.new_run("resnet50"))
    rows = f"a,b,k,nowhere,{'f' * 64},{fold}\na,b\n,,,test\n"
    run.split.write_text(f"path,category,key,side,sha256,fold\n{rows}")
    assert workspace.previous_split() == PreviousSplit({}, {})


def test_only_unfinished_runs_are_dropped(workspace: Workspace) -> None:
    finished, unfinished = finish(workspace.new_run("resnet50")), workspace.new_run("resnet50")
    unfinished.checkpoints.mkdir()
    mine = workspace.runs / "my notes"
    mine.mkdir()
    workspace.drop_unfinished_runs()
    assert sorted(workspace.runs.iterdir()) == sorted([finished.folder, mine])


def test_an_atomic_writer_leaves_the_old_file_and_nothing_else_after_an_exception(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write_half() -> None:
        with atomic_writer(path) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_atomic_writer_replaces_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_writer(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_csv_and_json_keep_the_bytes_of_any_file_name(tmp_path: Path) -> None:
    names = [NOT_UTF8, "é 🌳", 'a"b,c', "line\nbreak", "carriage\rreturn"]
    write_csv(tmp_path / "t.csv", ("name",), ([name] for name in names))
    write_json(tmp_path / "t.json", names)
    assert b"caf\xe9.jpg" in (tmp_path / "t.csv").read_bytes()
    with (tmp_path / "t.csv").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == names
    assert json.loads((tmp_path / "t.json").read_text("utf-8", "surrogateescape")) == names


def test_json_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "t.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_named_as_such() -> None:
    full = Path("/dev/full")
    with pytest.raises(MachineError, match="The disk is full: /dev/full"), machine_errors(full):
        full.write_text("more than nothing")


def test_other_errors_of_the_system_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), machine_errors(tmp_path):
        (tmp_path / "no").read_text()
