"""`retrain report`: a run as one HTML file."""

from pathlib import Path

import click

from retrain.cli.command import Command
from retrain.cli.options import OUTPUT_FILE, WORKSPACE


@click.command("report", cls=Command)
@click.argument("tf_files", type=WORKSPACE)
@click.option(
    "--output", type=OUTPUT_FILE, help="HTML file to write; report.html in the run if not given."
)
def command(tf_files: Path, output: Path | None) -> None:
    """Write the report of a run again: where the model is wrong, and what it looks at.

    TF_FILES is a workspace with a trained model, one of its runs, or a bundle.

    Example: retrain report tf_files --output report.html
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.report import rebuild_report

    click.echo(f"Report: {rebuild_report(tf_files, output, Terminal())}")
