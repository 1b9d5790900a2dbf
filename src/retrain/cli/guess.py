"""`retrain guess`: what the model sees in a picture."""

import json
from pathlib import Path
from typing import Annotated

import typer

from retrain.config import GuessConfig
from retrain.errors import InputsFailed


def command(
    tf_files: Annotated[Path, typer.Argument(help="Workspace with a trained model, or a bundle.")],
    images: Annotated[list[Path], typer.Argument(help="Picture files.", metavar="IMAGE...")],
    top: Annotated[int | None, typer.Option(min=1, help="Show the best K categories only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Name what pictures show: every category with its probability, best first.

    Example: retrain guess tf_files photo.jpg
    """
    from retrain.infer.guess import score_line
    from retrain.jobs.guess import guess_files
    from retrain.progress import counted

    guesses = []
    failed = 0
    for found in guess_files(tf_files, images, GuessConfig()):
        scores = found.scores[:top]
        guesses.append({"source": str(found.path), "scores": dict(scores), "error": found.error})
        if found.error:
            failed += 1
            typer.echo(f"retrain: {found.path}: {found.error}", err=True)
        elif not as_json:
            if len(images) > 1:
                typer.echo(f"{found.path}:")
            for category, score in scores:
                typer.echo(score_line(category, score))
    if as_json:
        typer.echo(json.dumps(guesses, indent=2, ensure_ascii=False))
    if failed:
        raise InputsFailed(f"{failed} of {counted(len(images), 'picture')} could not be guessed.")
