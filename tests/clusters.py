"""A real Ray cluster on loopback: nodes that are processes, to be killed."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from commands import environment

ADDRESS = "127.0.0.1"
STORE = 100 << 20  # bytes of each node's object store


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as free:
        free.bind((ADDRESS, 0))
        port: int = free.getsockname()[1]
        return port


class Nodes:
    """The nodes of a cluster, each a process group; the first has no cores to work with.

    address: of the head.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.address = f"{ADDRESS}:{self._port}"
        self._groups: list[subprocess.Popen[bytes]] = []
        self._start("--head", f"--port={self._port}", "--num-cpus=0", "--include-dashboard=false")

    def add(self, cpus: int = 1, **changes: str) -> int:
        """Start a node, and return its number."""
        return self._start(f"--address={self.address}", f"--num-cpus={cpus}", **changes)

    def kill(self, number: int) -> None:
        """Kill a node with all its workers, as a machine dies that loses its power."""
        os.killpg(self._groups[number].pid, signal.SIGKILL)
        self._groups[number].wait()

    def workers(self, number: int) -> list[int]:
        """Return the process ids of a node's workers that run an actor of ours."""
        group, found = self._groups[number].pid, []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                name = (place / "cmdline").read_bytes()
                own = os.getpgid(int(place.name)) == group
            except (OSError, ProcessLookupError):
                continue
            if own and name.startswith(b"ray::Worker"):
                found.append(int(place.name))
        return found

    def close(self) -> None:
        """Kill all nodes."""
        for group in self._groups:
            if group.poll() is None:
                os.killpg(group.pid, signal.SIGKILL)
                group.wait()

    def _start(self, *options: str, **changes: str) -> int:
        command = [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *options),
            *(f"--node-ip-address={ADDRESS}", f"--object-store-memory={STORE}"),
            *("--disable-usage-stats", f"--temp-dir={self._folder}"),
        ]
        group = subprocess.Popen(
            command,
            env=environment(RAY_AUTH_MODE="disabled", **changes),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._groups.append(group)
        said = b""
        assert group.stdout is not None
        while b"Ray runtime started" not in said:  # it says little more
            line = group.stdout.readline()
            assert line, said.decode()
            said += line
        return len(self._groups) - 1


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
