"""The compose files: what they say is run for real where the compose tool is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from commands import ROOT
from containers import PATIENCE, Project, Result

FILES = ("-f", "docker/compose.yaml")


@pytest.fixture(scope="module")
def tool() -> list[str]:
    """The command line of the compose tool, second or first edition."""
    for line in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(line[0]):
            version = subprocess.run([*line, "version"], capture_output=True, check=False)
            if version.returncode == 0:
                return line
    pytest.skip("the compose tool is not installed")


def compose(tool: list[str], *arguments: str, **settings: str) -> Result:
    return subprocess.run(
        [*tool, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **settings},
        timeout=PATIENCE,
        check=False,
    )


def test_the_files_are_well_formed_and_the_second_asks_for_gpus(tool: list[str]) -> None:
    plain = compose(tool, *FILES, "config")
    assert plain.returncode == 0, plain.stderr
    assert "nvidia" not in plain.stdout
    gpu = compose(tool, *FILES, "-f", "docker/compose.gpu.yaml", "config")
    assert gpu.returncode == 0, gpu.stderr
    assert "driver: nvidia" in gpu.stdout
    assert "image: retrain:gpu" in gpu.stdout


def test_a_folder_is_sorted(
    tool: list[str], project: Project, workspace: Path, tmp_path: Path
) -> None:
    sorted_folder = tmp_path / "sorted"
    sorted_folder.mkdir()
    result = compose(
        tool,
        *(*FILES, "run", "--rm", "guess-dir"),
        TF_FILES=str(workspace),
        SRC=str(workspace / "data" / "disc"),
        DEST=str(sorted_folder),
        CALLER=f"{os.getuid()}:{os.getgid()}",
    )
    assert result.returncode == 0, result.stderr
    assert f"24  copied to {sorted_folder}" in result.stdout
    assert (sorted_folder / "results.csv").stat().st_uid == os.getuid()


def test_a_folder_that_is_not_set_is_named_and_not_made(
    tool: list[str], project: Project, workspace: Path
) -> None:
    result = compose(tool, *FILES, "run", "--rm", "guess-dir", TF_FILES=str(workspace))
    assert result.returncode != 0
    assert "-is-not-set" in result.stderr
    assert not Path("/SRC-is-not-set").exists()
