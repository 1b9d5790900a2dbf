"""`retrain compare`: which of two models is better on the same pictures."""

import json
from pathlib import Path
from typing import Literal

import click

from retrain.cli.command import Command
from retrain.cli.options import PATH, data_options, json_option
from retrain.cli.scores import accuracy, print_verdicts, tell_skipped
from retrain.errors import InputsFailed

CHANCE = 0.05  # differences with a larger p-value count as chance


@click.command("compare", cls=Command)
@click.argument("first", type=PATH, metavar="RUN")
@click.argument("second", type=PATH, metavar="RUN")
@data_options
@json_option
def command(
    first: Path,
    second: Path,
    data: Path | None,
    side: Literal["validation", "test"] | None,
    as_json: bool,
) -> None:
    """Compare two models on pictures that neither has learned from, or on a labelled folder.

    RUN is a folder in TF_FILES/runs, a workspace with a trained model, or a bundle.

    Example: retrain compare tf_files/runs/20261101T080000Z-resnet50 tf_files/model
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.compare import compare
    from retrain.progress import counted

    result = compare(first, second, data, side, Terminal())
    tell_skipped(result.skipped)
    if as_json:
        values = {
            "runs": result.runs,
            "source": result.source,
            "scores": [scores.as_dict() for scores in result.scores],
            "only_first": [v.as_dict() for v in result.only_first],
            "only_second": [v.as_dict() for v in result.only_second],
            "p_value": result.p_value,
        }
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        click.echo(f"On {result.source}:")
        for number, run, scores in zip((1, 2), result.runs, result.scores, strict=True):
            click.echo(f"  {number}  {run}: {accuracy(scores)}, log loss {scores.log_loss:.4f}")
        for number, found in ((1, result.only_first), (2, result.only_second)):
            click.echo(f"Right only in {number}: {counted(len(found), 'picture')}")
            print_verdicts(found)
        meaning = "more" if result.p_value < CHANCE else "no more"
        click.echo(f"p = {result.p_value:.3g}: the difference is {meaning} than chance explains.")
    if result.skipped:
        raise InputsFailed(f"{counted(len(result.skipped), 'picture')} could not be compared.")
