"""`retrain show-data`: what lies in a data folder, as a training would find it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from retrain.cli.command import Command
from retrain.cli.options import (
    OUTPUT_FILE,
    WORKSPACE,
    group_by_setting,
    hold_out_setting,
    json_option,
    labels_from_setting,
    train_config,
)


@click.command("show-data", cls=Command)
@click.argument("tf_files", type=WORKSPACE)
@labels_from_setting
@group_by_setting
@hold_out_setting
@click.option(
    "--write-labels",
    type=OUTPUT_FILE,
    metavar="CSV",
    help="Write path, label, split and group of each picture to a file that is not there yet, as "
    "labels.csv has them.",
)
@json_option
def command(tf_files: Path, write_labels: Path | None, as_json: bool, **settings: Any) -> None:
    """List categories with their pictures, sides, groups and sources.

    Example: retrain show-data tf_files --write-labels labels.csv
    """
    from retrain.cli.console import Terminal
    from retrain.data.records import SIDES
    from retrain.jobs.show_data import show_data

    result = show_data(tf_files, train_config(settings), write_labels, Terminal())
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
        return
    filled = [side for side in SIDES if any(side in one.sides for one in result.categories)]
    width = max(12, *(len(one.name) + 2 for one in result.categories))
    header = ("pictures", *filled, "groups", "variations")
    click.echo(f"{'category':<{width}}" + "".join(f"{name:>12}" for name in header) + "  from")
    for one in result.categories:
        numbers = (one.pictures, *(one.sides.get(side, 0) for side in filled), one.groups)
        cells = "".join(f"{number:>12}" for number in (*numbers, one.variations))
        origins = ", ".join(f"{name} {count}" for name, count in one.origins.items())
        click.echo(f"{one.name:<{width}}{cells}  {origins}")
    if result.labels:
        click.echo(f"Labels: {result.labels}")
