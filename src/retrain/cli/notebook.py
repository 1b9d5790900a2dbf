"""News and bars in a notebook, where only IPython can draw what changes. It lives here alone."""

import html
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from IPython.display import display

from retrain.cli import interrupts
from retrain.cli.console import Terminal
from retrain.progress import Advance, one_line

INTERVAL = 0.2  # seconds between two drawings of a bar


@dataclass(frozen=True)
class _Bar:
    """A bar as it stands; empty at the end."""

    label: str = ""
    done: int = 0
    total: int = 0

    def __repr__(self) -> str:
        return f"{self.label} {self.done}/{self.total}" if self.label else ""

    def _repr_html_(self) -> str:
        if not self.label:
            return ""
        bar = f'<progress value="{self.done}" max="{self.total}"></progress>'
        return f"{html.escape(self.label)} {bar} {self.done}/{self.total}"


class Notebook(Terminal):
    """A Reporter for the output of a notebook's cell."""

    def say(self, text: str) -> None:
        """Print one line."""
        print(one_line(text))

    def warn(self, text: str) -> None:
        """Print one line; a notebook has no colours for lines of text."""
        print(one_line(text))

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Advance]:
        """Show a bar that vanishes when done; its steps notice interruptions."""
        handle = display(_Bar(label, 0, total), display_id=True)
        done, drawn = 0, time.monotonic()

        def advance(count: int) -> None:
            nonlocal done, drawn
            interrupts.check()
            done += count
            if time.monotonic() - drawn > INTERVAL:
                drawn = time.monotonic()
                handle.update(_Bar(label, done, total))

        try:
            yield advance
        finally:
            handle.update(_Bar())
