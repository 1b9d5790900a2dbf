"""`retrain vary`: variations of pictures, for a category that has few of a kind."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from retrain.cli.command import Command
from retrain.cli.gathering import print_counts
from retrain.cli.options import WORKSPACE, json_option
from retrain.errors import InputsFailed, UsageError

KINDS = ("grey", "inverted", "poisson", "rescaled", "logarithmic", "sigmoid")


class Border(click.ParamType[int | str]):
    """A number of pixels, or "auto"."""

    name = "N|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return pixels, or "auto"."""
        if value == "auto":
            return "auto"
        try:
            pixels = int(value)
        except ValueError:
            pixels = 0
        if pixels < 1:
            self.fail(f"must be auto, or pixels from 1 on. Received: {value!r}.", param, ctx)
        return pixels


@click.command("vary", cls=Command)
@click.argument("tf_files", type=WORKSPACE)
@click.option("--category", metavar="NAME", help="Category whose pictures are varied.")
@click.option(
    "--like",
    metavar="PATTERN",
    help="Only pictures with such file names, such as 'fanart*'.",
)
@click.option(
    "--only",
    type=click.Choice(KINDS),
    multiple=True,
    help="Kind of variation; may be given several times. All six if not given.",
)
@click.option(
    "--crop-border",
    type=Border(),
    help="Cut so many pixels off each edge, or, with auto, the uniform border that all pictures of "
    "a film have; without --only this alone.",
)
@click.option("--undo", is_flag=True, help="Take variations away again.")
@json_option
def command(
    tf_files: Path,
    category: str | None,
    like: str | None,
    only: tuple[str, ...],
    crop_border: int | str | None,
    undo: bool,
    as_json: bool,
) -> None:
    """Write variations of a category's pictures beside them, which only teach.

    A picture becomes six more: grey, inverted, with noise, with its intensity rescaled, and
    adjusted by a logarithm and a sigmoid. They follow their original to its side of a split and to
    its fold, and neither judge nor count in any number.

    Example: retrain vary tf_files --category boat --like 'drawing*'
    """
    from retrain.cli.console import Terminal
    from retrain.gather import vary
    from retrain.progress import counted

    if undo:
        result = vary.undo(tf_files, category, Terminal())
    elif category is None:
        raise UsageError("Name a category to vary. Received: none.", setting="category")
    else:
        kinds = only or (() if crop_border else KINDS)
        how = vary.HowToVary(like, kinds, crop_border)
        result = vary.vary_pictures(tf_files, category, how, Terminal())
    for name, reason in result.failed:
        click.echo(f"retrain: {name}: {reason}", err=True)
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
    elif undo:
        click.echo(f"{result.removed:7d}  removed")
        if result.kept:
            click.echo(
                f"{result.kept:7d}  kept: they were edited, and count as pictures of their own"
            )
    else:
        print_counts(result.made, f"new variations of {counted(result.originals, 'picture')}")
        if result.there or not result.made:
            click.echo(f"{result.there:7d}  there already")
    if result.failed:
        raise InputsFailed(f"{counted(len(result.failed), 'picture')} could not be varied.")
