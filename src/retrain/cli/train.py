"""`retrain train`: a folder of pictures becomes a published model."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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


def command(
    tf_files: Annotated[Path, typer.Argument(help="Workspace: pictures in data/<category>/.")],
    backbone: Annotated[
        str, typer.Option(help="auto, or one that `retrain weights` lists.")
    ] = BackboneConfig.name,
    weights: Annotated[
        str, typer.Option(help="imagenet, none (from scratch), or a file.")
    ] = BackboneConfig.weights,
    size: Annotated[
        int | None, typer.Option(help="Input size in pixels; the backbone's own if not given.")
    ] = PictureConfig.size,
    fit: Annotated[Fit, typer.Option(help="How a picture becomes a square.")] = PictureConfig.fit,
    group_by: Annotated[
        str | None, typer.Option(help="Regular expression on paths: what belongs together.")
    ] = SplitConfig.group_by,
    fine_tune: Annotated[
        FineTune, typer.Option(help="auto: unless the head leaves nothing to gain.")
    ] = _TUNING.when,
    epochs: Annotated[int, typer.Option(min=1, help="Of fine-tuning, at most.")] = _TUNING.epochs,
    groups: Annotated[
        int, typer.Option(min=1, max=5, help="Layer groups to fine-tune, from the end.")
    ] = _TUNING.groups,
    lr: Annotated[
        float, typer.Option(min=0, help="Highest learning rate of fine-tuning.")
    ] = _TUNING.learning_rate,
    batch: Annotated[int, typer.Option(min=1, help="Pictures in a step.")] = _TUNING.batch,
    flip: Annotated[
        bool, typer.Option(help="Mirror pictures at random; not for letters.")
    ] = _TUNING.flip,
    precision: Annotated[
        Precision, typer.Option(help="Number format of fine-tuning.")
    ] = TrainConfig.precision,
    minutes: Annotated[
        float, typer.Option(min=0, help="Time budget on a CPU; 0 for none.")
    ] = TrainConfig.minutes,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = TrainConfig.seed,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
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
        minutes=minutes,
        seed=seed,
    )
    result = train(tf_files, config, Terminal())
    if as_json:
        values = {"run": str(result.run), "seconds": result.seconds, **asdict(result.manifest)}
        typer.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        _print_summary(tf_files, result)


def _print_summary(tf_files: Path, result: "Trained") -> None:
    from retrain.progress import counted, duration

    for side, scores in result.evaluations.items():
        if scores is None:
            typer.echo(f"{side.capitalize()}: no pictures.")
            continue
        low, high = scores.interval
        typer.echo(
            f"{side.capitalize()} accuracy {scores.accuracy:.3f} "
            f"(95 % interval {low:.3f} to {high:.3f}, {counted(scores.pictures, 'picture')}), "
            f"macro-F1 {scores.macro_f1:.3f}"
        )
    last = result.evaluations["test"] or result.evaluations["validation"]
    if last:
        _print_categories(last)
    typer.echo(f"Model: {tf_files / 'model'} -> {result.run.name}, {duration(result.seconds)}")


def _print_categories(scores: "Evaluation") -> None:
    names = [score.category for score in scores.categories]
    width = max(len("true category"), *map(len, names)) + 2
    typer.echo(f"  {'true category':<{width}}precision  recall  guessed as")
    for score, row in zip(scores.categories, scores.confusion, strict=True):
        guessed = ", ".join(
            f"{name} {count}" for name, count in zip(names, row, strict=True) if count
        )
        typer.echo(
            f"  {score.category:<{width}}{score.precision:9.3f}{score.recall:8.3f}  {guessed}"
        )
