"""Every command explains itself, and quick commands load nothing heavy."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from commands import environment, retrain
from pictures import write_jpegs
from retrain.cli.main import app
from retrain.version import VERSION

COMMANDS = app.commands


def loaded(*arguments: str | Path) -> set[str]:
    """Run a command and return the top-level modules that it imported."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "retrain", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    lines = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


def test_help_names_every_command() -> None:
    result = retrain("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_an_example(name: str) -> None:
    result = retrain(name, "--help")
    assert result.returncode == 0
    assert result.stderr == ""
    assert f"Example: retrain {name} " in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_example_is_a_command_line_that_parses(name: str) -> None:
    example = (COMMANDS[name].help or "").split("Example: ")[1].splitlines()[0]
    program, command, *arguments = shlex.split(example)
    assert (program, command) == ("retrain", name)
    with app.make_context("retrain", [command, *arguments]) as context:
        parsed = COMMANDS[name].make_context(name, arguments, parent=context)
    assert parsed.params


def test_without_a_command_help_is_shown_as_an_error() -> None:
    result = retrain()
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == retrain("--help").stdout


def test_the_version_is_one_line() -> None:
    assert retrain("--version").stdout == f"retrain {VERSION}\n"


def test_help_loads_nothing_heavy() -> None:
    modules = loaded("train", "--help")
    assert "click" in modules
    assert not modules & {"numpy", "PIL", "tensorflow", "keras", "scipy", "h5py", "rich"}


def test_a_guess_loads_no_training_library(trained: Path, tmp_path: Path) -> None:
    modules = loaded("guess", trained, *write_jpegs(tmp_path, "disc", 1))
    assert "ai_edge_litert" in modules
    assert not modules & {
        *("tensorflow", "keras", "scipy", "h5py", "rich", "tensorboard", "matplotlib", "sklearn"),
        *("pandas", "pydantic", "requests", "http", "asyncio"),
    }
