"""`retrain guess-dir`: a folder sorted into copies named by category and score."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from retrain.cli.options import PATH, json_option, precision_option
from retrain.config import GuessConfig, GuessPrecision, SortConfig
from retrain.errors import InputsFailed


@click.command("guess-dir")
@click.argument("tf_files", type=PATH)
@click.argument("src", type=PATH)
@click.argument("dest", type=PATH)
@click.option("-r", "--recursive", is_flag=True, help="Go into sub-folders too.")
@click.option("--link", is_flag=True, help="Hard links, not copies, where the file system can.")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=SortConfig.min_score,
    metavar="SCORE",
    help="Set pictures aside whose best score is lower; wants --unsure.",
)
@click.option("--unsure", type=PATH, metavar="DIR", help="Where to set them aside.")
@precision_option
@json_option
def command(
    tf_files: Path,
    src: Path,
    dest: Path,
    precision: GuessPrecision,
    as_json: bool,
    **sorting: Any,
) -> None:
    """Copy pictures to DEST/<category>-<score>.<ext>, with results.csv and results.json.

    SRC is never changed; DEST is made if missing. A second run does only what is new.

    Example: retrain guess-dir tf_files photos sorted
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.guess_dir import sort_folder
    from retrain.progress import counted

    result = sort_folder(
        tf_files, src, dest, GuessConfig(precision), SortConfig(**sorting), Terminal()
    )
    for row in result.failed:
        click.echo(f"retrain: {row.source}: {row.error}", err=True)
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
    else:
        for category, count in sorted(result.counts.items()):
            click.echo(f"{count:7d}  {category}")
        click.echo(f"{sum(result.counts.values()):7d}  copied to {dest}")
        if sorting["unsure"]:
            click.echo(f"{result.unsure:7d}  of them unsure, to {sorting['unsure']}")
    if result.failed:
        raise InputsFailed(
            f"{counted(len(result.failed), 'file')} could not be guessed; see "
            f"{dest / 'results.csv'}."
        )
