"""`retrain export`: the model in formats of other runtimes and of model hubs."""

import json
from pathlib import Path
from typing import get_args

import click

from retrain.cli.command import Command
from retrain.cli.options import OUTPUT_FOLDER, WORKSPACE, json_option
from retrain.config import ExportFormat


@click.command("export", cls=Command)
@click.argument("tf_files", type=WORKSPACE)
@click.option(
    "--format",
    "form",
    type=click.Choice(get_args(ExportFormat)),
    required=True,
    help="onnx, openvino: for these runtimes; web: a page that runs the model in the browser; hf: "
    "a folder for a model hub; card: a description alone.",
)
@click.option(
    "--output",
    type=OUTPUT_FOLDER,
    help="Folder to write to; TF_FILES/exported/FORMAT if not given.",
)
@click.option(
    "--license",
    "licence",
    default="",
    help="The model's licence for its card, such as mit; the reader is asked to fill it in if not "
    "given.",
)
@json_option
def command(
    tf_files: Path, form: ExportFormat, output: Path | None, licence: str, as_json: bool
) -> None:
    """Write the model in a format of other runtimes, or of model hubs.

    It is compared with the original; one that disagrees is not left behind.

    TF_FILES is a workspace with a trained model, one of its runs, or a bundle.

    Example: retrain export tf_files --format card --license mit
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.export import export

    result = export(tf_files, form, output, Terminal(), licence=licence)
    if as_json:
        values = {"folder": str(result.folder), "main": str(result.main), "check": result.finding}
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
        return
    if result.finding:
        click.echo(f"Agrees to {result.finding['max_difference']:.1e} in every probability.")
    click.echo(f"Written: {result.main}")
