"""What the commands that gather pictures share: an option, and how counts are printed."""

from collections.abc import Callable, Mapping
from typing import Any

import click

Command = Callable[..., Any]


def category_option(command: Command) -> Command:
    """Add `--category`."""
    return click.option("--category", metavar="NAME", help="Category that all pictures are of.")(
        command
    )


def print_counts(counts: Mapping[str, int], what: str) -> None:
    """Print a count a line, and their sum where there are any."""
    for name, count in counts.items():
        click.echo(f"{count:7d}  {name}")
    if counts:
        click.echo(f"{sum(counts.values()):7d}  {what}")
