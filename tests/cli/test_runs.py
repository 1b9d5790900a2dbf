"""`retrain runs` lists, publishes and deletes, and loses nothing that was not named."""

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
        shutil.copytree(
            trained / "model", root / "runs" / f"2026010{day}T000000Z-efficientnet_lite0"
        )
    (root / "model").symlink_to("runs/20260101T000000Z-efficientnet_lite0")
    return root


def names(root: Path) -> list[str]:
    return [entry["run"][:8] for entry in json.loads(retrain("runs", root, "--json").stdout)]


def test_runs_are_listed_newest_first_and_the_published_is_marked(root: Path) -> None:
    lines = retrain("runs", root).stdout.splitlines()
    assert [line[:10] for line in lines] == ["  20260103", "  20260102", "* 20260101"]
    assert "2026-01-03 00:00 UTC" in lines[0]
    assert "efficientnet_lite0 at 128 px, head only" in lines[0]
    assert " MB  test accuracy " in lines[0]


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
    assert "Deleting needs an answer. Received: none. --yes gives it." in result.stderr
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
    assert "No runs yet." in result.stderr
