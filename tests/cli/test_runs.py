"""`retrain runs` lists, publishes and deletes, and loses nothing that was not named."""

import fcntl
import json
import shutil
from pathlib import Path

import pytest

from commands import refused, retrain


@pytest.fixture
def root(trained: Path, tmp_path: Path) -> Path:
    """A workspace with three runs; the oldest is published."""
    root = tmp_path / "tf files"
    (root / "runs").mkdir(parents=True)
    shutil.copytree(trained / "data", root / "data")
    for day in (1, 2, 3):
        run = root / "runs" / f"2026010{day}T000000Z-efficientnet_lite0"
        shutil.copytree(trained / "model", run)
        tell(run, run=run.name, created=f"2026-01-0{day}T00:10:00+00:00")
    (root / "model").symlink_to("runs/20260101T000000Z-efficientnet_lite0")
    return root


def tell(folder: Path, **changes: str) -> None:
    """Change what a run's manifest says."""
    values = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(values | changes))


def interrupted(root: Path) -> Path:
    """Make what a training leaves that was killed."""
    run = root / "runs" / "20260104T000000Z-efficientnet_lite0"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "training.json").write_text("{}")
    return run


def names(root: Path) -> list[str]:
    return [entry["run"][:8] for entry in json.loads(retrain("runs", root, "--json").stdout)]


def test_runs_are_listed_newest_first_and_the_published_is_marked(root: Path) -> None:
    lines = retrain("runs", root).stdout.splitlines()
    assert [line[:10] for line in lines] == ["  20260103", "  20260102", "* 20260101"]
    assert "2026-01-03 00:10 UTC" in lines[0]
    assert "efficientnet_lite0 at 128 px, head only" in lines[0]
    assert " MB  cross-fitted accuracy " in lines[0]


def test_an_older_run_is_published_again(root: Path) -> None:
    result = retrain("runs", root, "--use", "20260102T000000Z-efficientnet_lite0")
    assert result.returncode == 0, result.stderr
    assert (root / "model").readlink().name.startswith("20260102")
    picture = root / "data" / "disc" / "disc-000.jpg"
    assert retrain("guess", root, picture).returncode == 0


def test_an_unknown_run_is_answered_with_the_known(root: Path) -> None:
    message = refused(retrain("runs", root, "--use", "2025"), 2)
    assert "20260103T000000Z-efficientnet_lite0" in message
    assert (root / "model").readlink().name.startswith("20260101")


def test_runs_are_ordered_by_the_time_in_their_manifests(root: Path) -> None:
    tell(root / "runs" / "20260101T000000Z-efficientnet_lite0", created="2026-01-09T00:00:00+00:00")
    tell(root / "runs" / "20260102T000000Z-efficientnet_lite0", created="")  # of older versions
    assert names(root) == ["20260101", "20260103", "20260102"]


def test_a_copy_of_a_run_is_never_pruned_and_does_not_count(root: Path) -> None:
    backup = root / "runs" / "old-backup"
    shutil.copytree(root / "runs" / "20260102T000000Z-efficientnet_lite0", backup)
    lines = retrain("runs", root).stdout.splitlines()
    assert [line[2:10] for line in lines] == ["20260103", "old-back", "20260102", "20260101"]
    assert lines[1].endswith("a copy of 20260102T000000Z-efficientnet_lite0")
    result = retrain("runs", root, "--prune", "1", "--yes")
    assert result.returncode == 0, result.stderr
    assert names(root) == ["20260103", "old-back", "20260101"]
    assert retrain("runs", root, "--use", "old-backup").returncode == 0


def test_pruning_names_and_clears_what_was_interrupted(root: Path) -> None:
    run, mine = interrupted(root), root / "runs" / "my notes"
    mine.mkdir()
    result = retrain("runs", root, "--prune", "3", answer="n\n")
    assert f"  {run.name}  2026-01-04 00:00 UTC     0.0 MB  interrupted\n" in result.stderr
    assert "Delete 1 run, " in result.stderr
    assert run.is_dir()
    assert retrain("runs", root, "--prune", "3", "--yes").returncode == 0
    assert not run.exists()
    assert mine.is_dir()
    assert len(names(root)) == 3


def test_nothing_is_pruned_while_a_training_is_at_work(root: Path) -> None:
    run = interrupted(root)
    with (root / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = retrain("runs", root, "--prune", "1", answer="y\n")
    assert "Only one training may run" in refused(result, 8)
    assert run.is_dir()
    assert len(names(root)) == 3


@pytest.mark.parametrize(
    ("answer", "left"),
    [("y\n", ["20260103", "20260101"]), ("n\n", ["20260103", "20260102", "20260101"])],
)
def test_pruning_asks_and_spares_the_published(answer: str, left: list[str], root: Path) -> None:
    result = retrain("runs", root, "--prune", "1", answer=answer)
    assert result.returncode == 0, result.stderr
    assert "Delete 1 run, " in result.stderr
    assert names(root) == left


def test_without_an_answer_nothing_is_deleted(root: Path) -> None:
    result = retrain("runs", root, "--prune", "0", answer="")
    assert result.returncode == 2
    assert (
        "Deleting runs needs an answer. Received: none. --yes deletes without asking."
        in result.stderr
    )
    assert len(names(root)) == 3


def test_a_damaged_run_is_listed_and_never_published(root: Path) -> None:
    damaged = root / "runs" / "20260103T000000Z-efficientnet_lite0"
    (damaged / "manifest.json").write_text("{")
    assert "cannot be read" in retrain("runs", root).stdout
    refused(retrain("runs", root, "--use", damaged.name), 5)
    assert retrain("runs", root, "--prune", "0", "--yes").returncode == 0
    assert names(root) == ["20260101"]


def test_a_run_that_failed_its_checks_is_not_published(root: Path) -> None:
    failed = root / "runs" / "20260103T000000Z-efficientnet_lite0"
    values = json.loads((failed / "manifest.json").read_text())
    values["checks"]["passed"] = False
    (failed / "manifest.json").write_text(json.dumps(values))
    assert "its exports disagree" in retrain("runs", root).stdout
    refused(retrain("runs", root, "--use", failed.name), 7)
    assert (root / "model").readlink().name.startswith("20260101")


def test_pruning_a_link_leaves_what_it_leads_to(root: Path, tmp_path: Path) -> None:
    linked = root / "runs" / "20260102T000000Z-efficientnet_lite0"
    linked.rename(tmp_path / "archive")
    linked.symlink_to(tmp_path / "archive")
    assert retrain("runs", root, "--prune", "1", "--yes").returncode == 0
    assert names(root) == ["20260103", "20260101"]
    assert (tmp_path / "archive" / "manifest.json").is_file()


def test_a_run_of_another_workspace_is_not_taken_for_ours(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "runs" / "20260103T000000Z-efficientnet_lite0"
    refused(retrain("runs", root, "--use", other), 2)
    own = root / "runs" / other.name
    assert retrain("runs", root, "--use", own).returncode == 0


def test_no_workspace_is_an_error(tmp_path: Path) -> None:
    refused(retrain("runs", tmp_path / "nowhere"), 3)


def test_without_runs_it_says_so(tmp_path: Path) -> None:
    result = retrain("runs", tmp_path)
    assert (result.returncode, result.stdout) == (0, "")
    assert "There are no runs yet." in result.stderr
