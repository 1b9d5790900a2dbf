"""Where news, bars and tables go: stderr, so that stdout holds results alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from retrain.cli import interrupts
from retrain.cli.container import hint_about_links
from retrain.progress import Advance, one_line

MINIMUM_WIDTH = 12


class _Rate(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


def in_notebook() -> bool:
    """Tell whether the output is that of a notebook's cell."""
    return Console().is_jupyter


class Terminal:
    """A Reporter for people; bars only where one watches."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
        self._hinted = False  # once is enough

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(one_line(text), markup=False)

    def warn(self, text: str) -> None:
        """Print one line that stands out."""
        self._console.print(one_line(text), markup=False, style="yellow")
        if not self._hinted and (hint := hint_about_links([text])):
            self._hinted = True
            self.warn(hint)

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Advance]:
        """Show a bar that vanishes when done; its steps notice interruptions."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
        )
        shown = self._console.is_terminal and total > 0
        with Progress(
            *columns, console=self._console, transient=True, disable=not shown
        ) as progress:
            task = progress.add_task(label, total=total)

            def advance(count: int) -> None:
                interrupts.check()
                progress.advance(task, count)

            yield advance

    def table(self, columns: Sequence[str]) -> Callable[[Sequence[str]], None]:
        """Print rows as they come, right-aligned, the first column left-aligned."""
        widths = [max(MINIMUM_WIDTH, len(name) + 2) for name in columns]

        def row(cells: Sequence[str]) -> None:
            first = f"{cells[0]:<{widths[0]}}"
            rest = (f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
            self.say("  " + first + "".join(rest))

        row(columns)
        return row
