"""What only a command in a container has to say."""

import os
from collections.abc import Iterable

import click

from retrain.data.links import is_broken_link

BY_HAND = "an unnamed engine"  # as docker/Dockerfile calls it, where docker/run.sh does not


def has_own_network() -> bool:
    """Tell whether this is a container that others reach at a published port alone.

    docker/run.sh gives those that listen the network of the machine.
    """
    return os.environ.get("RETRAIN_ENGINE") == BY_HAND


def hint_about_links(reasons: Iterable[str]) -> str:
    """Return how a container can see where links lead; "" where no reason is such a link."""
    inside = "RETRAIN_ENGINE" in os.environ  # docker/run.sh sets it
    if not (inside and any(is_broken_link(reason) for reason in reasons)):
        return ""
    return (
        "A container sees only the folders that you name; RETRAIN_MOUNT shows it those that links "
        "lead to."
    )


def tell_of_links(reasons: Iterable[str]) -> None:
    """Print that hint on stderr, if it is wanted."""
    if hint := hint_about_links(reasons):
        click.echo(f"retrain: {hint}", err=True)
