"""`retrain weights`: which pretrained weights are here, and fetching more."""

from typing import Annotated

import typer


def command(
    backbones: Annotated[
        list[str] | None, typer.Argument(help="Backbones to fetch.", metavar="[BACKBONE...]")
    ] = None,
) -> None:
    """Fetch ImageNet weights ahead of time; without arguments, list what is ready here.

    Example: retrain weights resnet50
    """
    from retrain.model.backbones import BACKBONES, backbone_named
    from retrain.model.weights import obtain, ready_file

    for backbone in [backbone_named(name) for name in backbones or ()]:
        weights = obtain(backbone, "imagenet", lambda text: typer.echo(text, err=True))
        typer.echo(f"{backbone.name:20}{weights.path}")
    if not backbones:
        for backbone in BACKBONES:
            typer.echo(
                f"{backbone.name:20}{backbone.size} px  {ready_file(backbone) or 'not here'}"
            )
