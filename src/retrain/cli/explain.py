"""`retrain explain`: shows what in a picture speaks for a category."""

import json
from pathlib import Path
from typing import get_args

import click

from retrain.cli.command import Command
from retrain.cli.options import OUTPUT_FOLDER, PATH, WORKSPACE, json_option
from retrain.config import ExplainMethod
from retrain.errors import InputsFailed


@click.command("explain", cls=Command)
@click.argument("tf_files", type=WORKSPACE)
@click.argument("images", type=PATH, nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--category",
    "categories",
    multiple=True,
    metavar="NAME",
    help="Category to explain instead of the guess; repeat it to compare several.",
)
@click.option(
    "--method",
    type=click.Choice(get_args(ExplainMethod)),
    default=get_args(ExplainMethod)[0],
    show_default=True,
    help="Method of the heat map; scorecam takes minutes per picture.",
)
@click.option(
    "--layer",
    metavar="NAME",
    help="Layer whose feature maps are used; the last such layer if not given.",
)
@click.option(
    "--output", type=OUTPUT_FOLDER, help="Folder for the PNGs; TF_FILES/explained if not given."
)
@json_option
def command(
    tf_files: Path,
    images: tuple[Path, ...],
    categories: tuple[str, ...],
    method: ExplainMethod,
    layer: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Draw what speaks for a category in pictures: original, heat map, guided backpropagation.

    TF_FILES is a workspace with a trained model, or a bundle.

    Example: retrain explain tf_files photo.jpg --category boat --category house
    """
    from retrain.infer.guess import score_line
    from retrain.jobs.explain import explain
    from retrain.progress import counted

    values = []
    failed = 0
    for found in explain(tf_files, images, categories, method, layer, output):
        picture = str(found.picture) if found.picture else None
        values.append(
            {
                "source": str(found.source),
                "picture": picture,
                "scores": found.scores,
                "categories": found.categories,
                "error": found.error,
            }
        )
        if found.error:
            failed += 1
            click.echo(f"retrain: {found.source}: {found.error}", err=True)
        elif not as_json:
            best, score = next(iter(found.scores.items()))
            click.echo(f"{found.source}: {score_line(best, score)}, see {picture}")
    if as_json:
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    if failed:
        raise InputsFailed(f"{failed} of {counted(len(images), 'picture')} could not be explained.")
