"""`retrain report`: a run as one HTML file."""

from pathlib import Path

import click

from retrain.cli.options import PATH


@click.command("report")
@click.argument("tf_files", type=PATH)
@click.option("--output", type=PATH, help="HTML to write; report.html in the run if not given.")
def command(tf_files: Path, output: Path | None) -> None:
    """Write a run's report anew: where the model is wrong, and what it looks at.

    TF_FILES is a workspace with a trained model, one of its runs, or a bundle.

    Example: retrain report tf_files --output report.html
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.report import rebuild_report

    click.echo(f"Report: {rebuild_report(tf_files, output, Terminal())}")
