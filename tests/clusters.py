"""A real Ray cluster on loopback: nodes that are processes, to be killed."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import PATIENCE, environment, retrain

ADDRESS = "127.0.0.1"
# What the environment of a driver must have, too.
SECRET = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
STORE = 100 << 20  # bytes of each node's object store


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as free:
        free.bind((ADDRESS, 0))
        port: int = free.getsockname()[1]
        return port


class Nodes:
    """The nodes of a cluster, each a session of processes; the first has no cores to work with.

    address: of the head.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.address = f"{ADDRESS}:{self._port}"
        self._nodes: list[subprocess.Popen[bytes]] = []
        self._start("--head", f"--port={self._port}", "--num-cpus=0", "--include-dashboard=false")

    def add(self, *under: str, cpus: int = 1, **changes: str) -> int:
        """Start a node, and return its number.

        Args:
            under: a command that runs it.
            cpus: cores that it has to work with.
            changes: of environment variables.
        """
        options = (f"--address={self.address}", f"--num-cpus={cpus}")
        return self._start(*options, under=under, **changes)

    def kill(self, number: int) -> None:
        """Kill a node with all its workers, as a machine dies that loses its power."""
        for process in self._processes(number):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._nodes[number].wait()

    def worker(self, number: int) -> int:
        """Return the process id of a node's worker, once there is one."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for process in self._processes(number):
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{process}/cmdline").read_bytes().startswith(b"ray::Worker"):
                        return process
            time.sleep(0.05)
        raise AssertionError("there is no worker")

    def close(self) -> None:
        """Kill all nodes."""
        for number in range(len(self._nodes)):
            self.kill(number)

    def _processes(self, number: int) -> list[int]:
        """Return the ids of a node's processes: they share its session, if not its group."""
        session, found = self._nodes[number].pid, []
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getsid(int(place.name)) == session:
                    found.append(int(place.name))
        return found

    def _start(self, *options: str, under: Sequence[str] = (), **changes: str) -> int:
        command = [
            *under,
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options),
            *(f"--node-ip-address={ADDRESS}", f"--object-store-memory={STORE}"),
            *("--disable-usage-stats", f"--temp-dir={self._folder}"),
        ]
        node = subprocess.Popen(
            command,
            env=environment(**SECRET, **changes),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._nodes.append(node)
        said = b""
        assert node.stdout is not None
        while b"Ray runtime started" not in said:  # it says little more
            line = node.stdout.readline()
            assert line, said.decode()
            said += line
        return len(self._nodes) - 1


@contextmanager
def ray_nodes() -> Iterator[Nodes]:
    """Start a cluster with a head that does no work, and end it."""
    pytest.importorskip("ray")
    # Short, for the names of its sockets.
    with tempfile.TemporaryDirectory(prefix="r-", dir="/tmp", ignore_cleanup_errors=True) as place:
        nodes = Nodes(Path(place))
        try:
            yield nodes
        finally:
            nodes.close()


def on_nodes(*line: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `retrain LINE...` as a driver of these clusters."""
    return retrain(*line, cwd=None, answer=None, under=(), **SECRET)


def without(folder: Path) -> tuple[str, ...]:
    """Return what runs a command to which a folder is empty."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root can hide a folder from a process")
    script = 'mount -t tmpfs none "$0" && exec "$@"'
    return ("unshare", "--mount", "sh", "-c", script, str(folder))
