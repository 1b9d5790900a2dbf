"""A signal that comes at a bad moment still ends a command; each case is a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from commands import environment

PROGRAM = """
import os, signal
from retrain.cli.console import Terminal
from retrain.cli.main import app, main

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), {number})  # whose exception Python drops

@app.command()
def destructor():
    with Terminal().bar("steps", 3) as advance:
        advance(1)
        Dropped()
        print("the signal was lost")
        advance(1)
        print("nobody noticed")

@app.command()
def lock():
    try:
        os.kill(os.getpid(), {number})
    finally:
        raise RuntimeError("cannot release un-acquired lock")

@app.command()
def bug():
    raise RuntimeError("cannot release un-acquired lock")

main()
"""


def run(folder: Path, name: str, number: str) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(PROGRAM.format(number=number))
    line = [sys.executable, str(program), name]
    return subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [("signal.SIGINT", 130, "Interrupted"), ("signal.SIGTERM", 143, "Terminated")],
)
@pytest.mark.parametrize("name", ["destructor", "lock"])
def test_a_lost_signal_ends_the_command(
    name: str, number: str, code: int, word: str, tmp_path: Path
) -> None:
    result = run(tmp_path, name, number)
    assert result.returncode == code
    assert result.stderr.endswith(f"retrain: {word}. What was finished is kept.\n")
    assert result.stdout == ("the signal was lost\n" if name == "destructor" else "")


def test_an_error_without_a_signal_is_a_bug(tmp_path: Path) -> None:
    result = run(tmp_path, "bug", "signal.SIGINT")
    assert result.returncode == 1
    assert "A bug, please report it: RuntimeError: cannot release" in result.stderr
