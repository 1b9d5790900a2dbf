"""Runs the real command line."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"  # data that lies beside the project on some machines
# Options of trainings whose outcome matters little, and not at all.
QUICK = ("--size", "128", "--fine-tune", "never", "--no-int8")
QUICKEST = (
    *("--backbone", "mobilenetv2_035", "--weights", "none", "--size", "64"),
    *("--fine-tune", "never", "--no-int8"),
)
LONG = (  # for trainings that must not end by themselves
    *("--size", "128", "--fine-tune", "always", "--minutes", "0"),
    *("--epochs", "50", "--patience", "50"),
)

PATIENCE = 300.0  # seconds until a stage counts as never reached
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


def retrain(
    *arguments: str | Path, cwd: Path | None = None, answer: str | None = None, **changes: str
) -> subprocess.CompletedProcess[str]:
    """Run `retrain ARGUMENTS...` to its end, with an answer on stdin; keywords change variables."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        input=answer,
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


def kill_when(root: Path, reached: Callable[[str], bool], *options: str) -> str:
    """Start a training and send SIGKILL once `reached` is true of what it said so far."""
    said = root / "said.txt"
    with said.open("w") as file:
        process = subprocess.Popen(
            command("train", root, *options), stdout=file, stderr=file, env=environment()
        )
        deadline = time.monotonic() + PATIENCE
        while not reached(said.read_text()):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.05)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    return said.read_text()
