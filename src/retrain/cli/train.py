"""`retrain train`: a folder of pictures becomes a published model."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from retrain.cli.options import PATH, json_option
from retrain.config import (
    BackboneConfig,
    FineTune,
    FineTuneConfig,
    Fit,
    PictureConfig,
    Precision,
    SplitConfig,
    TrainConfig,
)

if TYPE_CHECKING:
    from retrain.jobs.train import Trained
    from retrain.metrics import Evaluation

_TUNING = FineTuneConfig()


@click.command("train")
@click.argument("tf_files", type=PATH)
@click.option(
    "--backbone",
    default=BackboneConfig.name,
    show_default=True,
    help="auto, or one that `retrain weights` lists.",
)
@click.option(
    "--weights",
    default=BackboneConfig.weights,
    show_default=True,
    help="imagenet, none (from scratch), or a file.",
)
@click.option(
    "--size",
    type=int,
    default=PictureConfig.size,
    help="Input size in pixels; the backbone's own if not given.",
)
@click.option(
    "--fit",
    type=click.Choice(get_args(Fit)),
    default=PictureConfig.fit,
    show_default=True,
    help="How a picture becomes a square.",
)
@click.option(
    "--group-by",
    default=SplitConfig.group_by,
    help="Regular expression on paths: what belongs together.",
)
@click.option(
    "--fine-tune",
    type=click.Choice(get_args(FineTune)),
    default=_TUNING.when,
    show_default=True,
    help="auto: unless the head leaves nothing to gain.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=_TUNING.epochs,
    show_default=True,
    help="Of fine-tuning, at most.",
)
@click.option(
    "--groups",
    type=click.IntRange(1, 5),
    default=_TUNING.groups,
    show_default=True,
    help="Layer groups to fine-tune, from the end.",
)
@click.option(
    "--lr",
    type=click.FloatRange(min=0),
    default=_TUNING.learning_rate,
    show_default=True,
    help="Highest learning rate of fine-tuning.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=_TUNING.batch,
    show_default=True,
    help="Pictures in a step.",
)
@click.option(
    "--flip/--no-flip",
    default=_TUNING.flip,
    show_default=True,
    help="Mirror pictures at random; not for letters.",
)
@click.option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default=TrainConfig.precision,
    show_default=True,
    help="Number format of fine-tuning.",
)
@click.option(
    "--int8/--no-int8",
    default=TrainConfig.int8,
    show_default=True,
    help="Export for fast guesses, too, if they agree.",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0),
    default=TrainConfig.minutes,
    show_default=True,
    help="Time budget on a CPU; 0 for none.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=TrainConfig.seed,
    show_default=True,
    help="Of everything random.",
)
@json_option
def command(
    tf_files: Path,
    backbone: str,
    weights: str,
    size: int | None,
    fit: Fit,
    group_by: str | None,
    fine_tune: FineTune,
    epochs: int,
    groups: int,
    lr: float,
    batch: int,
    flip: bool,
    precision: Precision,
    int8: bool,
    minutes: float,
    seed: int,
    as_json: bool,
) -> None:
    """Train on TF_FILES/data/<category>/ and publish the model as TF_FILES/model.

    Example: retrain train tf_files --backbone efficientnet_lite2
    """
    from retrain.cli.console import Terminal
    from retrain.jobs.train import train

    tuning = FineTuneConfig(
        when=fine_tune, epochs=epochs, groups=groups, learning_rate=lr, batch=batch, flip=flip
    )
    config = TrainConfig(
        pictures=PictureConfig(size, fit),
        split=SplitConfig(group_by),
        backbone=BackboneConfig(backbone, weights),
        fine_tune=tuning,
        precision=precision,
        int8=int8,
        minutes=minutes,
        seed=seed,
    )
    result = train(tf_files, config, Terminal())
    if as_json:
        values = {"run": str(result.run), "seconds": result.seconds, **asdict(result.manifest)}
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        _print_summary(tf_files, result)


def _print_summary(tf_files: Path, result: "Trained") -> None:
    from retrain.progress import counted, duration

    for side, scores in result.evaluations.items():
        if scores is None:
            click.echo(f"{side.capitalize()}: no pictures.")
            continue
        low, high = scores.interval
        click.echo(
            f"{side.capitalize()} accuracy {scores.accuracy:.3f} "
            f"(95 % interval {low:.3f} to {high:.3f}, {counted(scores.pictures, 'picture')}), "
            f"macro-F1 {scores.macro_f1:.3f}"
        )
    last = result.evaluations["test"] or result.evaluations["validation"]
    if last:
        _print_categories(last)
    click.echo(f"Model: {tf_files / 'model'} -> {result.run.name}, {duration(result.seconds)}")


def _print_categories(scores: "Evaluation") -> None:
    names = [score.category for score in scores.categories]
    width = max(len("true category"), *map(len, names)) + 2
    click.echo(f"  {'true category':<{width}}precision  recall  guessed as")
    for score, row in zip(scores.categories, scores.confusion, strict=True):
        guessed = ", ".join(
            f"{name} {count}" for name, count in zip(names, row, strict=True) if count
        )
        click.echo(
            f"  {score.category:<{width}}{score.precision:9.3f}{score.recall:8.3f}  {guessed}"
        )
