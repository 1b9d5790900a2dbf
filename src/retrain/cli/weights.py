"""`retrain weights`: lists the pretrained weights and which are ready, and fetches others."""

import click

from retrain.cli.command import Command


@click.command("weights", cls=Command, network=True)
@click.argument("backbones", nargs=-1, metavar="[BACKBONE...]")
def command(backbones: tuple[str, ...]) -> None:
    """Fetch ImageNet weights ahead of time; without arguments, list all, and which are ready.

    Example: retrain weights resnet50
    """
    from retrain.model.backbones import BACKBONES, backbone_named
    from retrain.model.weights import obtain, ready_file

    for backbone in [backbone_named(name) for name in backbones]:
        weights = obtain(backbone, "imagenet", lambda text: click.echo(text, err=True))
        click.echo(f"{backbone.name:20}{weights.path}")
    if not backbones:
        for backbone in BACKBONES:
            click.echo(
                f"{backbone.name:20}{backbone.size} px  {ready_file(backbone) or 'not here'}"
            )
