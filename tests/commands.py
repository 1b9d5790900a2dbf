"""Runs the real command line."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"  # data that lies beside the project on some machines
# Options of trainings whose outcome matters little, and not at all. Drawn pictures look alike, so
# relations would join many; who tests them says so (--relate).
QUICK = ("--size", "128", "--fine-tune", "never", "--no-int8", "--no-relate")
QUICKEST = (
    *("--backbone", "mobilenetv2_035", "--weights", "none", "--size", "64"),
    *("--fine-tune", "never", "--no-int8", "--no-relate"),
)
LONG = (  # for trainings that must not end by themselves
    *("--size", "128", "--fine-tune", "always", "--minutes", "0", "--epochs", "400"),
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
    *arguments: str | Path,
    cwd: Path | None = None,
    answer: str | None = None,
    under: Sequence[str] = (),
    **changes: str,
) -> subprocess.CompletedProcess[str]:
    """Run `retrain ARGUMENTS...` to its end.

    Args:
        arguments: of the command line.
        cwd: where it runs.
        answer: on stdin.
        under: a command that runs it, such as `like_anyone()`, or one of `system_calls.refusing`.
        changes: of environment variables.
    """
    return subprocess.run(
        [*under, *command(*arguments)],
        cwd=cwd,
        input=answer,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        env=environment(**changes),
        check=False,
    )


def like_anyone() -> tuple[str, ...]:
    """Return what starts a command for whom permissions hold, as they do not for root."""
    if os.geteuid() != 0:
        return ()
    if not shutil.which("setpriv"):
        pytest.skip("only setpriv can take root's right to read everything")
    rights = "-dac_override,-dac_read_search"
    return ("setpriv", f"--inh-caps={rights}", f"--bounding-set={rights}")


def measured(note: Path) -> tuple[str, ...]:
    """Return what starts a command and writes its peak memory, in MB, to a file.

    A small process between: on Linux a child begins with the peak of its parent.
    """
    code = (
        "import pathlib, resource, subprocess, sys; "
        "code = subprocess.run(sys.argv[2:]).returncode; "
        "unit = 1 if sys.platform == 'darwin' else 1024; "
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit; "
        "pathlib.Path(sys.argv[1]).write_text(str(peak / 1e6)); "
        "sys.exit(code)"
    )
    return (sys.executable, "-S", "-c", code, str(note))


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
