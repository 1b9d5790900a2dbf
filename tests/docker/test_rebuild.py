"""The image is built anew when what it is made of has changed, and only then."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from commands import ROOT
from containers import IMAGE, Project, docker, inspect
from retrain.version import VERSION

VENV = ROOT / ".venv" / "bin" / "python"
BUILDING = "retrain: building the image"


@pytest.fixture
def clone(project: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the project; afterwards the image is the project's own again."""
    root = tmp_path / "clone"
    for name in ("docker", "requirements", "src"):
        shutil.copytree(project.root / name, root / name)
    for name in (".dockerignore", "retrain.sh"):
        shutil.copy(project.root / name, root / name)
    yield replace(project, root=root)
    restored = project.run("retrain.sh", "--version")
    assert restored.stdout == f"retrain {VERSION}\n", restored.stderr


def test_the_same_files_elsewhere_need_no_new_image_and_a_changed_line_does(
    clone: Project,
) -> None:
    same = clone.run("retrain.sh", "--version")
    assert same.stdout == f"retrain {VERSION}\n"
    assert BUILDING not in same.stderr
    old = inspect(IMAGE)["Id"]
    (clone.root / "src" / "retrain" / "version.py").write_text('VERSION = "99.0"\n')
    changed = clone.run("retrain.sh", "--version")
    assert changed.stdout == "retrain 99.0\n", changed.stderr
    assert BUILDING in changed.stderr
    (step,) = re.findall(r"^#(\d+) \[packages .* RUN .*pip\" install", changed.stderr, re.MULTILINE)
    assert f"\n#{step} CACHED\n" in changed.stderr
    assert inspect(old) == {}, "the old image takes up space"
    again = clone.run("retrain.sh", "--version")
    assert (again.stdout, again.stderr) == ("retrain 99.0\n", "")


def test_files_that_only_their_owner_may_read_are_for_all_to_read_in_the_image(
    clone: Project,
) -> None:
    for path in (clone.root / "src").rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    (clone.root / "src" / "retrain" / "version.py").write_text('VERSION = "98.0"\n')
    built = clone.run("retrain.sh", "--version")
    assert built.returncode == 0, built.stderr
    alone = docker("run", "--rm", IMAGE, "--version")  # as the image's own user, who is nobody
    assert alone.stdout == "retrain 98.0\n", alone.stderr


def test_weights_that_cannot_be_fetched_do_not_keep_the_image_from_being_built(
    clone: Project,
) -> None:
    unknown = f"no-such-backbone-{time.time_ns()}"  # never built before, so not cached
    result = clone.run("retrain.sh", "weights", RETRAIN_WEIGHTS=f"mobilenetv2_035 {unknown}")
    assert result.returncode == 0, result.stderr
    assert BUILDING in result.stderr
    assert f"The image goes without {unknown}." in result.stderr
    missing = "The image goes without mobilenetv2_035." in result.stderr
    found = re.search(r"^mobilenetv2_035 .* (\S+)$", result.stdout, re.MULTILINE)
    assert found is not None
    assert missing == (not found[1].startswith("/usr/local/lib/retrain/weights/"))


def test_where_the_image_cannot_be_built_the_reason_is_named(project: Project) -> None:
    base = "localhost:1/no-such-image"
    result = project.run("retrain.sh", "--version", RETRAIN_BASE_IMAGE=base)
    assert result.returncode == 8, result.stderr
    assert base in result.stderr
    message = "RETRAIN_RUNTIME=docker: the image could not be built, see above."
    assert result.stderr.endswith(f"\nretrain: {message}\n")


@pytest.mark.skipif(not VENV.exists(), reason="test.sh sets .venv up")
def test_where_the_image_cannot_be_built_it_runs_here_if_that_is_left_open(
    project: Project,
) -> None:
    base = "localhost:1/no-such-image"
    result = project.run("retrain.sh", "--version", RETRAIN_BASE_IMAGE=base, RETRAIN_RUNTIME="")
    assert (result.returncode, result.stdout) == (0, f"retrain {VERSION}\n"), result.stderr
    assert result.stderr.endswith("without a container: the image could not be built.\n")


def test_who_interrupts_the_build_gets_nothing_else_instead(clone: Project) -> None:
    with (clone.root / "requirements" / "cpu.txt").open("a") as file:
        file.write("# so that packages are fetched anew\n")
    with subprocess.Popen(
        clone.line("retrain.sh", "--version"),
        stderr=subprocess.PIPE,
        text=True,
        env=clone.environment(RETRAIN_RUNTIME=""),
        start_new_session=True,  # a group to be interrupted as Control-C does
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("#") and " Collecting " in line:
                os.killpg(process.pid, signal.SIGINT)
                break
        for line in process.stderr:
            if "setting up" in line:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert line == "retrain: Interrupted. The same command starts again.\n"
    assert not (clone.root / ".venv").exists()
