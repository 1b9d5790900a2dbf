"""What the commands' options have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

PATH = click.Path(path_type=Path)  # whether it is there, the jobs find out, and say what to do


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, which the command receives as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
