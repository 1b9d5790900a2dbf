"""What the commands' options have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from retrain.config import GuessConfig, GuessPrecision

PATH = click.Path(path_type=Path, readable=False)  # the jobs look, and say what to do


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`, which the command receives as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def precision_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--precision` of guesses."""
    return click.option(
        "--precision",
        type=click.Choice(get_args(GuessPrecision)),
        default=GuessConfig.precision,
        show_default=True,
        help="auto: int8, and float32 where that is not sure, if the model offers it.",
    )(command)
