"""A training that the page starts: a process of its own, whose news the page shows."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from retrain.errors import BundleError
from retrain.jobs.retraining import effect, pending_corrections
from retrain.run import Run
from retrain.workspace import Workspace, open_run

LINES = 200  # of news that are kept
PATIENCE = 10.0  # seconds until a training that was asked to stop is made to


class Training:
    """At most one training at a time."""

    def __init__(self, workspace: Workspace, command: Sequence[str], line: str) -> None:
        """Take what would be run.

        Args:
            workspace: that is trained in.
            command: the program and its arguments.
            line: the same as a person would type it.
        """
        self.workspace, self._command, self._line = workspace, command, line
        self.after: Callable[[], None] = lambda: None  # called when one has come to its end
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=LINES)
        self._before: Run | None = None

    def start(self) -> bool:
        """Start a training; tell whether there was none."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return False
            self._before = self._published()
            self._said.clear()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="backslashreplace",
                bufsize=1,
                # Of its own group: a Ctrl-C in the terminal is for the page, which passes it on.
                start_new_session=True,
            )
            threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
            return True

    def stop(self) -> None:
        """Ask a training to stop, as Ctrl-C does; what it has finished is kept."""
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def state(self) -> dict[str, Any]:
        """Return what the page shows of it, as JSON values."""
        process = self._process
        code = process.poll() if process else None
        before = self._before if process else self._published()
        after = self._published() if process and code is not None else None
        came_of_it = before and after and before != after and effect(before, after).in_words()
        pending = pending_corrections(self.workspace.root)
        return {
            "command": self._line,
            "running": process is not None and code is None,
            "code": code,
            "said": [*self._said],
            "pending": pending.in_words() if pending else "",
            "before": before and _numbers(before),
            "now": after and _numbers(after),
            "effect": came_of_it or "",
        }

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if text := line.rstrip():
                self._said.append(text)
        if process.wait() == 0:
            self.after()

    def _published(self) -> Run | None:
        try:
            return open_run(self.workspace.root)
        except BundleError:
            return None


def _numbers(run: Run) -> dict[str, Any]:
    """Return how good a model is, as JSON values."""
    judged = run.judged[1] if run.judged else {}
    return {
        "run": run.name,
        "accuracy": run.accuracy,
        "interval": list(run.interval) if run.interval else None,
        "pictures": judged.get("pictures"),
        "log_loss": judged.get("log_loss"),
        "report": str(run.report) if run.report.is_file() else None,
    }
