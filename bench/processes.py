"""Times whole processes in turn, and writes the medians as a table."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes


@dataclass(frozen=True)
class Run:
    """One finished process.

    seconds: wall time, or what the process itself printed as its last line, `seconds 1.23`.
    peak: resident set, in bytes.
    """

    seconds: float
    peak: float


def run(command: Sequence[str]) -> Run:
    """Run a command to its end.

    Raises:
        SystemExit: it failed; what it printed is in the message.
    """
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=said, stderr=said) as process:
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
    if process.returncode:
        raise SystemExit("\n".join([*lines, f"{' '.join(command)} failed: {process.returncode}"]))
    if lines and lines[-1].startswith("seconds "):
        seconds = float(lines[-1].split()[1])
    return Run(seconds, usage.ru_maxrss * MAXRSS_UNIT)


def in_turn(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[Run]]:
    """Run each command once uncounted, to warm the file cache, then all in turn."""
    for command in commands.values():
        run(command)
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(run(command))
    return runs


def print_table(runs: Mapping[str, Sequence[Run]], work: int = 1) -> None:
    """Print medians; the ratio is to the first row, ours.

    Args:
        runs: by name.
        work: pictures in a run, for a column of pictures a second.
    """
    first = median(one.seconds for one in next(iter(runs.values())))
    rate = f"{'pictures/s':>12}" if work > 1 else ""
    print(f"{'':<34}{'seconds':>9}{'ratio':>8}{rate}{'peak MB':>10}{'min - max':>16}")
    for name, those in runs.items():
        seconds = [one.seconds for one in those]
        middle = median(seconds)
        rate = f"{work / middle:12.1f}" if work > 1 else ""
        peak = median(one.peak for one in those) / 1e6
        spread = f"{min(seconds):.2f} - {max(seconds):.2f}"
        print(f"{name:<34}{middle:9.3f}{middle / first:8.2f}{rate}{peak:10.0f}{spread:>16}")
