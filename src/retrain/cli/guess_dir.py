"""`retrain guess-dir`: a folder sorted into copies named by category and score."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from retrain.config import GuessConfig
from retrain.errors import InputsFailed


def command(
    tf_files: Annotated[Path, typer.Argument(help="Workspace with a trained model, or a bundle.")],
    src: Annotated[Path, typer.Argument(help="Folder of pictures; never changed.")],
    dest: Annotated[Path, typer.Argument(help="Folder for the copies; made if missing.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Go into sub-folders too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Copy pictures to DEST/<category>-<score>.<ext>, with results.csv and results.json.

    A second run does only what is new. Example: retrain guess-dir tf_files photos sorted
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.guess import sort_folder
    from retrain.progress import counted

    result = sort_folder(tf_files, src, dest, recursive, GuessConfig(), Terminal())
    for row in result.failed:
        typer.echo(f"retrain: {row.source}: {row.error}", err=True)
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
    else:
        for category, count in sorted(result.counts.items()):
            typer.echo(f"{count:7d}  {category}")
        typer.echo(f"{sum(result.counts.values()):7d}  copied to {dest}")
    if result.failed:
        raise InputsFailed(
            f"{counted(len(result.failed), 'file')} could not be guessed; see "
            f"{dest / 'results.csv'}."
        )
