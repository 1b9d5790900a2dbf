"""Runs the real command line."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"  # data that lies beside the project on some machines
QUICK = (
    "--size",
    "128",
    "--fine-tune",
    "never",
    "--no-int8",
)  # for trainings whose outcome matters little
LONG = (  # for trainings that must not end by themselves
    *("--size", "128", "--fine-tune", "always", "--minutes", "0"),
    *("--epochs", "50", "--patience", "50"),
)

GUESS_FILES = ("model.tflite", "model.int8.tflite", "head.int8.npz")  # beside the manifest


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of a command: the sources on the path, no GPU."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "CUDA_VISIBLE_DEVICES": "-1",
        **changes,
    }


def command(*arguments: str | Path) -> list[str]:
    """Return the command line of `retrain ARGUMENTS...`."""
    return [sys.executable, "-m", "retrain", *map(str, arguments)]


def retrain(*arguments: str | Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run `retrain ARGUMENTS...` to its end; keywords are environment variables."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(**changes),
        check=False,
    )


def refused(result: object, code: int) -> str:
    """Return the message of an error: the one line of the tool, the last on stderr."""
    assert isinstance(result, subprocess.CompletedProcess)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    messages = [line for line in result.stderr.splitlines() if line.startswith("retrain: ")]
    assert len(messages) == 1, result.stderr
    assert result.stderr.endswith(f"{messages[0]}\n")
    return str(messages[0])
