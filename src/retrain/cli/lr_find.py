"""`retrain lr-find`: the learning rate that suits these pictures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from retrain.cli.command import Command
from retrain.cli.options import (
    WORKSPACE,
    augment_options,
    json_option,
    output_option,
    picture_options,
    train_config,
    tuning_options,
)

WIDTH, HEIGHT = 60, 15  # of the plot, in characters


@click.command("lr-find", cls=Command, network=True)
@click.argument("tf_files", type=WORKSPACE)
@picture_options
@tuning_options
@augment_options
@output_option("lr-find.png")
@json_option
def command(tf_files: Path, output: Path | None, as_json: bool, **settings: Any) -> None:
    """Try ever higher learning rates for one step each, and show where the loss falls.

    No model is kept. The rates shown are the head's; those of the first layers are lower, in the
    proportion of --lr. `train --find-lr` chooses a rate by itself.

    Example: retrain lr-find tf_files --batch 16
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.lr_find import lr_find

    config = train_config(settings)
    found = lr_find(tf_files, config, output, Terminal())
    low, high = found.rates
    suggestions = found.sweep.suggestions()
    if as_json:
        values = {
            "suggestions": suggestions,
            "rates": found.sweep.rates,
            "losses": found.sweep.losses,
            "plot": str(found.path),
        }
        click.echo(json.dumps(values, indent=2))
        return
    click.echo(curve(found.sweep.rates, found.sweep.losses))
    for name, rate in suggestions.items():
        click.echo(f"{name:12}--lr {rate * low / high:.1e}:{rate:.1e}")
    if not suggestions:
        click.echo("There is no suggestion, because the loss did not fall.")
    click.echo(f"Plot: {found.path}")


def curve(rates: Sequence[float], losses: Sequence[float]) -> str:
    """Return the loss over the rate's exponent, drawn with characters."""
    import math

    import plotille

    figure = plotille.Figure()
    figure.width, figure.height = WIDTH, HEIGHT
    figure.x_label, figure.y_label = "log10(rate)", "loss"
    figure.register_label_formatter(float, _label)
    figure.plot([math.log10(rate) for rate in rates], losses)
    return str(figure.show())


def _label(value: float, chars: int, **_: Any) -> str:
    """Write a number of an axis, as plotille asks for it."""
    return f"{value:{chars}.2f}"
