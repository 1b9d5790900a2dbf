"""`retrain evaluate`: how good a model is on labelled pictures."""

import json
from pathlib import Path
from typing import Literal

import click

from retrain.cli.command import Command
from retrain.cli.options import OUTPUT_FOLDER, PATH, data_options, json_option
from retrain.cli.scores import WORST, accuracy, print_categories, print_verdicts, tell_skipped
from retrain.errors import InputsFailed


@click.command("evaluate", cls=Command)
@click.argument("tf_files", type=PATH)
@data_options
@click.option(
    "--output",
    type=OUTPUT_FOLDER,
    help="Folder to write predictions.csv, confusion.csv and top-losses.png to.",
)
@json_option
def command(
    tf_files: Path,
    data: Path | None,
    side: Literal["validation", "test"] | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Measure how good a model is on pictures that it has not learned from.

    These are the pictures of its training, judged by heads that had not seen them, those of a side
    that was held back, or those of a labelled folder.

    TF_FILES is a workspace with a trained model, one of its runs, or a bundle.

    Example: retrain evaluate tf_files --output evaluation
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.evaluate import evaluate_model
    from retrain.progress import counted

    result = evaluate_model(tf_files, data, side, output, Terminal())
    scores = result.scores
    tell_skipped(result.skipped)
    if as_json:
        values = {
            "run": result.run,
            "source": result.source,
            **scores.as_dict(),
            "predictions": [v.as_dict() for v in result.verdicts],
            "skipped": [vars(bad) for bad in result.skipped],
        }
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{result.run} on {result.source}: {accuracy(scores)}")
        among = [f"among the best {k} {share:.3f}" for k, share in scores.top_k.items()]
        error = f"calibration error {scores.calibration_error:.4f}"
        click.echo("  " + ", ".join([f"log loss {scores.log_loss:.4f}", error, *among]))
        bins = (f"{b.score:.2f} {b.accuracy:.2f} ({b.pictures})" for b in scores.reliability)
        click.echo(f"  score, share that is right (pictures): {', '.join(bins)}")
        print_categories(scores)
        click.echo("Worst first:")
        print_verdicts(result.verdicts[:WORST])
        if output is not None:
            click.echo(f"All predictions: {output}")
    if result.skipped:
        raise InputsFailed(f"{counted(len(result.skipped), 'picture')} could not be evaluated.")
