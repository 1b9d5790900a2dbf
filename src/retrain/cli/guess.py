"""`retrain guess`: what the model sees in a picture."""

import json
from pathlib import Path

import click

from retrain.cli.command import Command
from retrain.cli.container import tell_of_links
from retrain.cli.options import PATH, json_option, precision_option
from retrain.config import GuessConfig, GuessPrecision
from retrain.errors import InputsFailed


@click.command("guess", cls=Command)
@click.argument("tf_files", type=PATH)
@click.argument("images", type=PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    help="Number of categories to show, the best first; all if not given.",
)
@precision_option
@json_option
def command(
    tf_files: Path,
    images: tuple[Path, ...],
    top: int | None,
    precision: GuessPrecision,
    as_json: bool,
) -> None:
    """Name what pictures show: every category with its probability, best first.

    A picture that is unlike anything the model learned from is said to be so.

    TF_FILES is a workspace with a trained model, or a bundle.

    Example: retrain guess tf_files photo.jpg
    """
    from retrain.infer.guess import UNLIKE, score_line
    from retrain.infer.sources import is_folder
    from retrain.jobs.guess import guess_files
    from retrain.progress import counted

    guesses = []
    failed = 0
    for found in guess_files(tf_files, images, GuessConfig(precision=precision)):
        scores, error = found.scores[:top], found.error
        if error and is_folder(found.path):
            error = "is a folder; `retrain guess-dir` sorts the pictures of one"
        guesses.append(
            {
                "source": str(found.path),
                "scores": dict(scores),
                "familiar": found.familiar,
                "unlike": found.unlike,
                "error": error,
            }
        )
        if error:
            failed += 1
            click.echo(f"retrain: {found.path}: {error}", err=True)
        elif not as_json:
            if len(images) > 1:
                click.echo(f"{found.path}:")
            for category, score in scores:
                click.echo(score_line(category, score))
            if found.unlike:
                line = f"{found.path}: {UNLIKE} (familiar = {found.familiar:.5f})"
                click.echo(f"retrain: {line}", err=True)  # stdout holds scores alone, as ever
    if as_json:
        click.echo(json.dumps(guesses, indent=2, ensure_ascii=False))
    tell_of_links(str(one["error"]) for one in guesses)
    if failed:
        raise InputsFailed(f"{failed} of {counted(len(images), 'picture')} could not be guessed.")
