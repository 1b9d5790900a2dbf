"""Starts real servers for tests, and asks them."""

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from commands import PATIENCE, command, environment

ADDRESS = re.compile(r"Serving .* at (http://\S+)/ ")


@dataclass
class Server:
    """A server that runs. address: without a slash at its end. lines: what it wrote to its log."""

    address: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.address}{path}", timeout=PATIENCE, **options)

    def post(self, path: str, content: Any = None, **options: Any) -> httpx.Response:
        if isinstance(content, dict):
            content = json.dumps(content)
        return httpx.post(f"{self.address}{path}", content=content, timeout=PATIENCE, **options)

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the log that tell of an event."""
        found = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [line for line in found if line["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        """Wait until the log has told of an event so often; return its last line."""
        deadline = time.monotonic() + PATIENCE
        while len(found := self.events(name)) < count:
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)
        return found[-1]

    def wait_for_status(self, status: int) -> dict[str, Any]:
        """Wait until the log has a request that was answered so; return its line."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for line in self.events("request"):
                if line["status"] == status:
                    return line
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)

    def memory(self, kind: str = "VmRSS") -> float:
        """Return the memory of the process in MB; "VmHWM" for the most that it ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kilobytes = re.search(rf"^{kind}:\s+(\d+) kB", status, re.MULTILINE)
        assert kilobytes
        return int(kilobytes[1]) * 1024 / 1e6

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask the server to stop, or make it; return its exit code."""
        os.kill(self.process.pid, number)
        return self.process.wait(PATIENCE)


@contextmanager
def started(root: Path, *options: str, **changes: str) -> Iterator[Server]:
    """Run `retrain serve ROOT` on a free port until the test is done."""
    line = command("serve", root, "--port", "0", *options)
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(**changes)
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines: list[str] = []
        reading = threading.Thread(target=_copy, args=(process.stderr, lines), daemon=True)
        reading.start()
        try:
            told = ADDRESS.search(process.stdout.readline())
            assert told, (process.wait(PATIENCE), lines)
            yield Server(told[1], process, lines)
        finally:
            process.kill()
            process.wait()
            reading.join()


def _copy(stream: Any, lines: list[str]) -> None:
    for line in stream:
        lines.append(line)
