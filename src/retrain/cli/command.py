"""A command of the tool, and what it needs of the machine beside the paths that it is given."""

from typing import Any

import click


class Command(click.Command):
    """A command that says what it needs, for the wrappers that confine it in a container.

    Attributes:
        network: whether it may have to download pretrained weights, and keep them.
        asks: whether it reads an answer from the terminal.
        listens: whether programs and browsers of this machine connect to it.
    """

    def __init__(
        self,
        *args: Any,
        network: bool = False,
        asks: bool = False,
        listens: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.network = network
        self.asks = asks
        self.listens = listens
