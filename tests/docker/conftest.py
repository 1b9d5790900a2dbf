"""The image, and one small model that was trained in its container."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from commands import QUICK
from containers import Caller, Project, Trained, docker, state
from pictures import write_workspace

USER = 1234


def unavailable(why: str) -> NoReturn:
    """Skip; fail where RETRAIN_TEST_ENGINE=required says that nothing may be left out."""
    if os.environ.get("RETRAIN_TEST_ENGINE") == "required":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def engine() -> None:
    """Docker; tests are skipped where it does not answer, unless RETRAIN_TEST_ENGINE=required."""
    if not shutil.which("docker"):
        unavailable("Docker is not installed")
    answer = docker("info")
    if answer.returncode != 0:
        unavailable(f"no Docker engine answers: {answer.stdout}{answer.stderr}")


@pytest.fixture(scope="session")
def project(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project's commands; the image is built."""
    project = Project(tmp_path_factory.mktemp("project") / "keras")
    built = project.run("retrain.sh", "--version")
    assert built.returncode == 0, built.stderr
    return project


@pytest.fixture(scope="session")
def training(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training of three obvious categories, beside a folder that is not its business."""
    folder = tmp_path_factory.mktemp("trained")
    root = write_workspace(folder / "tf files é", each=24)
    write_workspace(folder / "other", each=1)
    before = state(folder)
    result = project.run("train.sh", root, *QUICK)
    assert result.returncode == 0, result.stderr
    return Trained(root, result, before, state(folder))


@pytest.fixture(scope="session")
def workspace(training: Trained) -> Path:
    """A workspace with a published model. Do not change it."""
    return training.root


@pytest.fixture(scope="session")
def picture(workspace: Path) -> Path:
    return workspace / "data" / "disc" / "disc-000.jpg"


@pytest.fixture
def own(workspace: Path, tmp_path: Path) -> Path:
    """A copy of the workspace, to be changed; what a guess needs of its model."""
    run = (workspace / "model").resolve()
    root = tmp_path / "own"
    for name in ("manifest.json", "model.tflite"):
        (root / "runs" / run.name).mkdir(parents=True, exist_ok=True)
        shutil.copy2(run / name, root / "runs" / run.name)
    (root / "model").symlink_to(Path("runs") / run.name)
    shutil.copytree(workspace / "data", root / "data")
    return root


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of another user's, who can reach it."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "bin").mkdir()
        if client := shutil.which("docker"):
            (folder / "bin" / "docker").symlink_to(Path(client).resolve())
        os.chown(folder, USER, USER)
        yield folder


@pytest.fixture
def other(home: Path, project: Project) -> Project:
    """The project's commands as another user has them; skipped where that one cannot read them."""
    if not succeeds(Caller(USER), "cat", str(project.root / "retrain.sh")):
        pytest.skip("another user cannot read the project here")
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return Project(home / "keras", settings={"HOME": str(home), "PATH": path})


@pytest.fixture
def member(home: Path, engine: None) -> Caller:
    """Another user who may use the engine's socket."""
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        pytest.skip("the engine is on another machine")
    caller = Caller(USER, (Path(host.removeprefix("unix://")).stat().st_gid,))
    if not succeeds(caller, str(home / "bin" / "docker"), "version"):
        unavailable(f"the group of {host} cannot reach it")
    return caller


def succeeds(caller: Caller, *line: str) -> bool:
    return subprocess.run(line, capture_output=True, **caller.options()).returncode == 0
