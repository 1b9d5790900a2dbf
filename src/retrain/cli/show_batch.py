"""`retrain show-batch`: what the network is shown."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from retrain.cli.command import Command
from retrain.cli.options import (
    WORKSPACE,
    augment_options,
    json_option,
    output_option,
    picture_options,
    train_config,
)


@click.command("show-batch", cls=Command, network=True)
@click.argument("tf_files", type=WORKSPACE)
@picture_options
@augment_options
@output_option("show-batch.png")
@json_option
def command(tf_files: Path, output: Path | None, as_json: bool, **settings: Any) -> None:
    """Draw some training pictures as the network sees them, each beside random views of it.

    Example: retrain show-batch tf_files --augment strong --no-flip
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.show_batch import show_batch

    sheet = show_batch(tf_files, train_config(settings), output, Terminal())
    if as_json:
        values = {**asdict(sheet), "path": str(sheet.path)}
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        click.echo(f"Sheet: {sheet.path}")
