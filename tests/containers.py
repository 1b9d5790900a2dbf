"""Runs the wrappers of the project, in containers of a real engine."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from commands import ROOT

IMAGE = "retrain:cpu"
PATIENCE = 900  # seconds until something hangs

# What the wrappers call, beside an engine and Python.
TOOLS = (
    *("bash", "cat", "cmp", "cp", "cut", "dirname", "env", "find", "grep", "head", "id", "mkdir"),
    *("rm", "seq", "sha256sum", "sort", "tail", "tr", "uname"),
)

Result = subprocess.CompletedProcess[str]
State = dict[Path, tuple[int, int, int]]  # time, size and owner of each path


class Caller(NamedTuple):
    """Another user than the one who tests. groups: besides the user's own."""

    user: int
    groups: tuple[int, ...] = ()

    def options(self) -> dict[str, Any]:
        """Return what `subprocess` is to be told."""
        return {"user": self.user, "group": self.user, "extra_groups": self.groups}


class Trained(NamedTuple):
    """A workspace trained in the container.

    before, after: the state of the folder around it, where other things lie too.
    """

    root: Path
    result: Result
    before: State
    after: State


@dataclass(frozen=True)
class Project:
    """The project's commands, in a container unless RETRAIN_RUNTIME says otherwise."""

    keras_home: Path
    root: Path = ROOT
    settings: dict[str, str] = field(default_factory=dict)

    def environment(self, **changes: str) -> dict[str, str]:
        """Return the environment of a command; one that is set to "" is as good as not set."""
        own = {
            "RETRAIN_RUNTIME": "docker",
            "RETRAIN_GPUS": "none",
            "RETRAIN_MOUNT": "",
            "KERAS_HOME": str(self.keras_home),
        }
        return {**os.environ, **own, **self.settings, **changes}

    def line(self, script: str, *arguments: str | Path) -> list[str]:
        """Return the command line of `bash SCRIPT ARGUMENTS...`."""
        return [shutil.which("bash") or "bash", str(self.root / script), *map(str, arguments)]

    def run(
        self,
        script: str,
        *arguments: str | Path,
        cwd: Path | None = None,
        caller: Caller | None = None,
        **changes: str,
    ) -> Result:
        """Run `bash SCRIPT ARGUMENTS...` to its end; keywords are environment variables."""
        return subprocess.run(
            self.line(script, *arguments),
            capture_output=True,
            text=True,
            cwd=cwd,
            env=self.environment(**changes),
            timeout=PATIENCE,
            check=False,
            **(caller.options() if caller else {}),
        )

    @contextmanager
    def started(self, script: str, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
        """Start `bash SCRIPT ARGUMENTS...`; its container is killed at the end if it still runs."""
        line = self.line(script, *arguments)
        with subprocess.Popen(
            line,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(),
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    for argument in arguments:
                        docker("kill", *containers(Path(argument)))
                    process.kill()


def docker(*arguments: str | Path) -> Result:
    """Run the engine's client."""
    line = ["docker", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)


def containers(mounted: Path) -> list[str]:
    """Return the ids of the containers, stopped ones included, that see this very path."""
    found = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"volume={mounted}")
    assert found.returncode == 0, found.stderr
    return found.stdout.split()


def container(mounted: Path, process: subprocess.Popen[str]) -> str:
    """Wait for the container that sees this path to run; return its id."""
    while process.poll() is None:
        for found in containers(mounted):
            if inspect(found).get("State", {}).get("Running"):
                return found
        time.sleep(0.05)
    raise AssertionError(f"ended with {process.returncode} before its container was seen")


def inspect(name: str) -> dict[str, Any]:
    """Return what the engine knows of a container or image; nothing if there is none."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", name).stdout)
    return found[0] if found else {}


def state(folder: Path) -> State:
    """Return the state of everything below a folder, itself included."""
    entries = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return {path: (e.st_mtime_ns, e.st_size, e.st_uid) for path, e in entries.items()}
