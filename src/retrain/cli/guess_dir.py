"""`retrain guess-dir`: a folder sorted into copies named by category and score."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrain.cli.command import Command
from retrain.cli.container import tell_of_links
from retrain.cli.options import (
    OUTPUT_FOLDER,
    PATH,
    cluster_option,
    json_option,
    precision_option,
)
from retrain.config import GuessConfig, GuessPrecision, SortConfig
from retrain.errors import InputsFailed

if TYPE_CHECKING:
    from retrain.jobs.guess_dir import Sorted


@click.command("guess-dir", cls=Command)
@click.argument("tf_files", type=PATH)
@click.argument("src", type=PATH)
@click.argument("dest", type=OUTPUT_FOLDER)
@click.option("-r", "--recursive", is_flag=True, help="Go into sub-folders, too.")
@click.option("--keep-names", is_flag=True, help="Name copies DEST/<category>/<original name>.")
@click.option("--link", is_flag=True, help="Make hard links instead of copies, where possible.")
@click.option("--dry-run", is_flag=True, help="Guess and write the results, but copy nothing.")
@click.option(
    "--sync",
    is_flag=True,
    help="Remove the copies of what is gone from SRC, unless they were edited.",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=SortConfig.min_score,
    metavar="SCORE",
    help="Set aside pictures whose best score is lower, too, in the folder of --unsure.",
)
@click.option(
    "--unsure",
    type=OUTPUT_FOLDER,
    metavar="DIR",
    help="Folder for pictures set aside, by its path from the current folder, not from DEST: those "
    "unlike anything the model learned from.",
)
@precision_option
@cluster_option
@json_option
def command(
    tf_files: Path,
    src: Path,
    dest: Path,
    precision: GuessPrecision,
    cluster: str | None,
    as_json: bool,
    **sorting: Any,
) -> None:
    """Copy pictures to DEST/<category>-<score>.<ext>, with results.csv and results.json.

    SRC is never changed; DEST is made if missing. A second run does only what is new.

    Example: retrain guess-dir tf_files photos sorted
    """
    from retrain.progress import counted

    how = SortConfig(**sorting)
    result = _sort(tf_files, src, dest, GuessConfig(precision), how, cluster)
    _tell_rest(result, src, how)
    for row in result.failed:
        click.echo(f"retrain: {row.source}: {row.error}", err=True)
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
    else:
        _print_counts(result, dest, how)
    tell_of_links(row.error for row in result.failed)
    if result.failed:
        raise InputsFailed(
            f"{counted(len(result.failed), 'file')} could not be guessed; see "
            f"{dest / 'results.csv'}."
        )


def _sort(
    tf_files: Path,
    src: Path,
    dest: Path,
    guessing: GuessConfig,
    how: SortConfig,
    cluster: str | None,
) -> "Sorted":
    from retrain.cli.console import Terminal
    from retrain.jobs.guess_dir import sort_folder, sort_with

    report = Terminal()
    if cluster is None:
        return sort_folder(tf_files, src, dest, guessing, how, report)
    from retrain.cluster.connect import joined
    from retrain.cluster.guessing import ClusterModel
    from retrain.workspace import open_run

    run = open_run(tf_files)
    with joined(cluster) as machines:
        model = ClusterModel(machines, run, guessing.precision, report)
        return sort_with(model, src, dest, how, report)


def _tell_rest(result: "Sorted", src: Path, how: SortConfig) -> None:
    """Say, on stderr, what an option would have done besides."""
    from retrain.progress import counted

    if result.not_entered:
        were = counted(result.not_entered, "sub-folder was", "sub-folders were")
        click.echo(f"{were} not entered in {src}; --recursive goes into them.", err=True)
    if result.gone:
        are = counted(result.gone, "picture is", "pictures are")
        hint = "" if how.sync else "; --sync removes what was made of them"
        became = _removed(result, how) or f" since an earlier run{hint}"
        click.echo(f"{are} gone from {src}{became}.", err=True)


def _removed(result: "Sorted", how: SortConfig) -> str:
    """Tell how many copies of pictures that are gone went, too; empty where none did."""
    count = result.removed
    if not count:
        return ""
    one, several = ("would be",) * 2 if how.dry_run else ("was", "were")
    if count < result.gone:
        return f"; {count} of their copies {one if count == 1 else several} removed"
    if count == 1:
        return f"; its copy {one} removed"
    return f"; their {count} copies {several} removed"


def _print_counts(result: "Sorted", dest: Path, how: SortConfig) -> None:
    for category, count in sorted(result.counts.items()):
        click.echo(f"{count:7d}  {category}")
    done = "guessed; nothing was copied to" if how.dry_run else "copied to"
    click.echo(f"{sum(result.counts.values()):7d}  {done} {dest}")
    if how.unsure:
        click.echo(f"{result.unsure:7d}  of them unsure, to {how.unsure}")
