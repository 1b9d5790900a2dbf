"""The wrappers know of each command what it reads, writes and needs."""

import pytest

from commands import ROOT
from retrain.cli.command import Command
from retrain.cli.main import app
from retrain.cli.wrapper_table import table


def test_the_table_is_that_of_the_commands() -> None:
    written = (ROOT / "docker" / "commands.sh").read_text()
    assert written == table(), "python -m retrain.cli.wrapper_table >docker/commands.sh"


@pytest.mark.parametrize("name", app.commands)
def test_each_command_says_what_it_needs(name: str) -> None:
    assert isinstance(app.commands[name], Command)
