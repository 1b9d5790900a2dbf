"""The local environment: whose code it runs, and what it is made of."""

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from commands import ROOT
from containers import TOOLS, Project

LIBRARIES = sysconfig.get_path("purelib")
# A Python whose environments go without their own pip, which would take seconds to install.
PYTHON = f"""#!/bin/sh
if [ "$2" = venv ]; then set -- "$@" --without-pip; fi
exec '{sys.executable}' "$@"
"""


def copy_project(root: Path) -> Path:
    """Copy what runs the tool, without an environment."""
    for name in ("docker", "requirements", "src"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "retrain.sh", root)
    return root


def make_environment(root: Path) -> Path:
    """Make a project's environment as set-up does, with the libraries of the one that tests run in.

    Its sources are named by an absolute path, as a careless set-up would do it.
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


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """A copy of the project that is not set up; its lists of requirements are empty.

    What they would install lies on Python's path, pip included. The machine has the programs of a
    small system, and neither a GPU nor an engine.
    """
    root = copy_project(tmp_path / "fresh")
    set_version(root, "1")
    for name in ("cpu", "gpu", "dev"):
        (root / "requirements" / f"{name}.txt").write_text(f"# for {name}\n")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in (*TOOLS, "sh", "touch"):
        (tools / name).symlink_to(shutil.which(name) or "/nowhere")
    python = tools / "python3"
    python.write_text(PYTHON)
    python.chmod(0o755)
    settings = {"PATH": str(tools), "PYTHONPATH": LIBRARIES, "RETRAIN_RUNTIME": "local"}
    return Project(tmp_path / "keras", root, settings | {"RETRAIN_GPUS": ""})


def answer_for_gpu(tmp_path: Path, code: int) -> None:
    """Put an `nvidia-smi` on the path that leaves a trace and ends with this code."""
    program = tmp_path / "bin" / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/asked'\nexit {code}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("setting", "code", "folder", "words"),
    [
        ("", None, ".venv", "for the CPU, as no NVIDIA GPU answers"),
        ("auto", 9, ".venv", "for the CPU, as no NVIDIA GPU answers"),
        ("auto", 0, ".venv-gpu", "for the GPU, as nvidia-smi answers"),
        ("none", 0, ".venv", "for the CPU, as RETRAIN_GPUS=none wants it"),
        ("all", None, ".venv-gpu", "for the GPU, as RETRAIN_GPUS=all wants it"),
    ],
)
def test_the_gpu_is_used_where_it_answers_or_is_asked_for(
    setting: str, code: int | None, folder: str, words: str, fresh: Project, tmp_path: Path
) -> None:
    if code is not None:
        answer_for_gpu(tmp_path, code)
    result = fresh.run("retrain.sh", "--version", RETRAIN_GPUS=setting)
    assert result.stdout == "retrain 1\n", result.stderr
    venv = fresh.root / folder
    assert f"retrain: setting up {venv}, once: {words}; about " in result.stderr
    assert [path.name for path in fresh.root.glob(".venv*")] == [folder]
    again = fresh.run("retrain.sh", "--version", RETRAIN_GPUS=setting)
    assert (again.stdout, again.stderr) == ("retrain 1\n", "")


def test_once_the_gpu_is_set_up_for_it_is_not_asked_for_at_each_start(
    fresh: Project, tmp_path: Path
) -> None:
    answer_for_gpu(tmp_path, 0)
    fresh.run("retrain.sh", "--version")
    (tmp_path / "asked").unlink()
    assert fresh.run("retrain.sh", "--version").stdout == "retrain 1\n"
    assert not (tmp_path / "asked").exists()


def test_on_a_gpu_the_linker_is_told_of_cudas_libraries(fresh: Project) -> None:
    fresh.run("retrain.sh", "--version", RETRAIN_GPUS="all")
    (packages,) = (fresh.root / ".venv-gpu").glob("lib/python3*/site-packages")
    folders = [packages / "nvidia" / name / "lib" for name in ("cublas", "cudnn")]
    for folder in folders:
        folder.mkdir(parents=True)
    version = fresh.root / "src" / "retrain" / "version.py"
    version.write_text("import os\nVERSION = os.environ['LD_LIBRARY_PATH']\n")
    told = fresh.run("retrain.sh", "--version", RETRAIN_GPUS="all", LD_LIBRARY_PATH="/own")
    assert told.stdout == f"retrain {folders[0]}:{folders[1]}:/own\n", told.stderr


def test_what_cannot_be_installed_is_named_with_the_log_that_has_the_rest(fresh: Project) -> None:
    wanted = f"no-such-package==1 --hash=sha256:{'0' * 64}\n"
    (fresh.root / "requirements" / "cpu.txt").write_text(wanted)
    result = fresh.run("retrain.sh", "--version", PIP_NO_INDEX="1")
    log = fresh.root / ".venv" / "retrain-set-up.log"
    assert (result.returncode, result.stdout) == (8, "")
    message = result.stderr.splitlines()[-1]
    assert f" {log} says why: ERROR: No matching distribution found for no-such-" in message
    assert "Could not find a version that satisfies the requirement" in log.read_text()
    assert "Could not find a version" not in result.stderr
    (fresh.root / "requirements" / "cpu.txt").write_text("# none\n")
    assert fresh.run("retrain.sh", "--version").stdout == "retrain 1\n"


def test_the_environment_of_the_tests_is_made_anew_where_it_was_moved(
    fresh: Project, tmp_path: Path
) -> None:
    def set_up(root: Path) -> str:
        line = ["bash", str(root / "docker" / "local.sh"), "--set-up", "dev"]
        environment = fresh.environment()
        return subprocess.run(line, capture_output=True, text=True, env=environment).stderr

    assert "setting up" in set_up(fresh.root)
    assert set_up(fresh.root) == ""
    moved = fresh.root.rename(tmp_path / "moved")
    assert "setting up" in set_up(moved)
    made = (moved / ".venv" / "pyvenv.cfg").read_text()
    assert f"{moved / '.venv'}\n" in made
    assert str(tmp_path / "fresh") not in made
    assert set_up(moved) == ""
