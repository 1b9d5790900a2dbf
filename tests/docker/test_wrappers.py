"""What the wrappers say and do where no container runs; most of it needs no engine."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from commands import ROOT, refused
from containers import TOOLS, Caller, Project, Result
from retrain.version import VERSION

GPU = Path("/dev/nvidia0")
VERSION_LINE = f"retrain {VERSION}\n"

needs_environment = pytest.mark.skipif(
    not (ROOT / ".venv" / "bin" / "python").exists(), reason="test.sh sets .venv up"
)
needs_client = pytest.mark.skipif(not shutil.which("docker"), reason="Docker is not installed")
needs_no_gpu = pytest.mark.skipif(GPU.exists(), reason="this machine has a GPU")


@pytest.fixture
def bare(tmp_path: Path) -> Project:
    """The project's commands where there is neither an engine nor Python."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    return Project(tmp_path / "keras", settings={"PATH": str(tools), "RETRAIN_RUNTIME": ""})


@pytest.fixture
def silent(bare: Project, tmp_path: Path) -> Project:
    """The project's commands where Docker is installed, but does not run."""
    (tmp_path / "bin" / "docker").symlink_to(shutil.which("docker") or "/nowhere")
    nowhere = f"unix://{tmp_path / 'nowhere.sock'}"
    return replace(bare, settings={**bare.settings, "DOCKER_HOST": nowhere})


@pytest.fixture
def moved(bare: Project, tmp_path: Path) -> Project:
    """The same, fresh from an archive: nothing is set up."""
    root = tmp_path / "moved"
    shutil.copytree(ROOT / "docker", root / "docker")
    shutil.copytree(ROOT / "requirements", root / "requirements")
    shutil.copy(ROOT / "retrain.sh", root)
    return replace(bare, root=root)


def ran_here(result: Result, reason: str) -> bool:
    """Tell whether the version came from here, and one line on stderr named the reason."""
    line = f"retrain: running in {ROOT / '.venv'}, without a container: {reason}.\n"
    return (result.returncode, result.stdout, result.stderr) == (0, VERSION_LINE, line)


@needs_environment
def test_without_an_engine_it_runs_here_and_says_so(bare: Project) -> None:
    result = bare.run("retrain.sh", "--version")
    assert ran_here(result, "there is neither Docker nor Podman")


@needs_environment
def test_who_asks_for_the_local_environment_is_told_nothing(bare: Project) -> None:
    result = bare.run("retrain.sh", "--version", RETRAIN_RUNTIME="local")
    assert (result.returncode, result.stdout, result.stderr) == (0, VERSION_LINE, "")


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_an_engine_that_is_asked_for_but_not_installed_is_an_error(
    name: str, bare: Project
) -> None:
    result = bare.run("retrain.sh", "--version", RETRAIN_RUNTIME=name)
    assert refused(result, 8) == f"retrain: RETRAIN_RUNTIME={name}: {name} is not installed."


@needs_client
@needs_environment
def test_where_the_daemon_does_not_run_it_runs_here_and_says_so(silent: Project) -> None:
    result = silent.run("retrain.sh", "--version")
    assert ran_here(
        result,
        "docker's daemon is not running (sudo systemctl start docker, or start Docker Desktop)",
    )


@needs_client
def test_an_engine_that_is_asked_for_but_does_not_run_is_an_error(silent: Project) -> None:
    result = silent.run("retrain.sh", "--version", RETRAIN_RUNTIME="docker")
    message = refused(result, 8)
    assert message.startswith("retrain: RETRAIN_RUNTIME=docker: docker's daemon is not running (")


def test_who_may_not_use_the_socket_is_told_how_to_get_there(
    other: Project, member: Caller
) -> None:
    outsider = Caller(member.user)
    message = refused(other.run("retrain.sh", "--version", caller=outsider), 8)
    assert "you may not use docker's socket (sudo usermod -aG docker " in message


def test_without_an_engine_and_without_python_one_line_says_what_to_install(
    moved: Project,
) -> None:
    message = refused(moved.run("retrain.sh", "--version"), 8)
    assert "there is neither Docker nor Podman" in message
    assert "Python 3.11, 3.12 or 3.13 is needed" in message


@pytest.mark.parametrize("name", ["RETRAIN_RUNTIME", "RETRAIN_GPUS"])
def test_a_setting_that_does_not_exist_is_answered_with_those_that_do(
    name: str, bare: Project
) -> None:
    wrong = replace(bare, settings={**bare.settings, name: "foo"})
    message = refused(wrong.run("retrain.sh", "--version"), 2)
    assert message.startswith(f"retrain: {name} must be ")
    assert message.endswith(" Received: foo")


@needs_no_gpu
def test_a_container_has_no_gpu_to_offer_where_there_is_none(project: Project) -> None:
    result = project.run("retrain.sh", "--version", RETRAIN_GPUS="all")
    assert "this machine shows none" in refused(result, 8)


def test_a_folder_to_mount_must_exist(project: Project, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    shown = f"{tmp_path}{os.pathsep}{missing}"
    result = project.run("retrain.sh", "--version", RETRAIN_MOUNT=shown)
    assert str(missing) in refused(result, 8)
    assert not missing.exists()
