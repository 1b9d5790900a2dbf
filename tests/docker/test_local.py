"""The local environment: whose code it runs, and what it is made of."""

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from commands import ROOT
from containers import Project

LIBRARIES = sysconfig.get_path("purelib")


def copy_project(root: Path) -> Path:
    """Copy what runs the tool, without an environment."""
    for name in ("docker", "requirements", "src"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "retrain.sh", root)
    return root


def make_environment(root: Path) -> Path:
    """Make a project's environment as set-up does, with the libraries of the one that tests run in.

    Its sources are named by an absolute path, as they were before 0.2.
    """
    venv = root / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    (packages,) = venv.glob("lib/python3*/site-packages")
    (packages / "libraries.pth").write_text(f"{LIBRARIES}\n")
    (packages / "retrain.pth").write_text(f"{root / 'src'}\n")
    shutil.copy(root / "requirements" / "cpu.txt", venv / "retrain-requirements-cpu.txt")
    return venv


def set_version(root: Path, version: str) -> None:
    (root / "src" / "retrain" / "version.py").write_text(f'VERSION = "{version}"\n')


@pytest.fixture
def local(tmp_path: Path) -> Project:
    """A copy of the project that is set up."""
    root = copy_project(tmp_path / "first")
    make_environment(root)
    set_version(root, "1")
    return Project(tmp_path / "keras", root, {"RETRAIN_RUNTIME": "local"})


def test_a_copy_runs_its_own_code(local: Project, tmp_path: Path) -> None:
    shutil.copytree(local.root, tmp_path / "second", symlinks=True)
    copy = replace(local, root=tmp_path / "second")
    set_version(copy.root, "2")
    assert local.run("retrain.sh", "--version").stdout == "retrain 1\n"
    assert copy.run("retrain.sh", "--version").stdout == "retrain 2\n"


def test_a_project_that_shares_the_environment_of_another_runs_its_own_code(
    local: Project, tmp_path: Path
) -> None:
    root = copy_project(tmp_path / "second")
    (root / ".venv").symlink_to(local.root / ".venv")
    set_version(root, "2")
    result = replace(local, root=root).run("retrain.sh", "--version")
    assert result.stdout == "retrain 2\n", result.stderr


def test_a_project_that_was_moved_goes_on_without_being_set_up_again(
    local: Project, tmp_path: Path
) -> None:
    moved = replace(local, root=local.root.rename(tmp_path / "moved"))
    result = moved.run("retrain.sh", "--version")
    assert (result.stdout, result.stderr) == ("retrain 1\n", "")


def test_programs_in_the_users_folder_are_not_run(local: Project, tmp_path: Path) -> None:
    for name in ("retrain.py", "click.py", "shlex.py"):
        (tmp_path / name).write_text("raise SystemExit('this is not for you')\n")
    result = local.run("retrain.sh", "--version", cwd=tmp_path)
    assert (result.stdout, result.stderr) == ("retrain 1\n", "")
