"""Prints what each command reads, writes and needs, as the wrappers of the container read it.

python -m retrain.cli.wrapper_table >docker/commands.sh
"""

import textwrap
from collections.abc import Iterator, Sequence

import click

from retrain.cli.main import COMMANDS
from retrain.cli.options import PathRole

HEADER = """\
# What each command does with its arguments and options. Generated from the commands themselves by
#   python -m retrain.cli.wrapper_table >docker/commands.sh
# shellcheck shell=bash disable=SC2034

# describe COMMAND sets
#   argument_roles   the role of each argument, in order; whatever follows is read
#   option_roles     the role of each option that takes a value
#   network, asks    "yes" where the command may download, and where it waits for an answer
#   listens          "yes" where others on this machine connect to it
# Roles: read, a path that is only read; workspace, a folder that is there and is written to;
# folder and file, what is written and made if it is missing; value, which is no path.
describe() {
    argument_roles="" option_roles="" network="" asks="" listens=""
    case "$1" in
"""
FOOTER = """\
    esac
}
"""
WIDTH = 80


def table() -> str:
    """Return the whole of docker/commands.sh."""
    commands = sorted((module.command for module in COMMANDS), key=lambda each: str(each.name))
    return HEADER + "".join(line for each in commands for line in _entry(each)) + FOOTER


def _entry(command: click.Command) -> Iterator[str]:
    """Yield the lines of a command's branch."""
    arguments = [_role(p) for p in command.params if isinstance(p, click.Argument)]
    options = [
        f"{name}={_role(option)}"
        for option in command.params
        if isinstance(option, click.Option) and not (option.is_flag or option.count)
        for name in option.opts
    ]
    yield f"        {command.name})\n"
    yield f'            argument_roles="{" ".join(arguments)}"\n'
    if options:
        yield f'            option_roles="{_wrapped(options)}"\n'
    for need in ("network", "asks", "listens"):
        if getattr(command, need):
            yield f"            {need}=yes\n"
    yield "            ;;\n"


def _role(parameter: click.Parameter) -> PathRole | str:
    return getattr(parameter.type, "role", "value")


def _wrapped(roles: Sequence[str]) -> str:
    """Return "|A|B|", broken into lines that the shell joins again."""
    words = " ".join(f"{role}|" for role in roles)
    lines = textwrap.wrap(words, WIDTH, break_on_hyphens=False)
    return "|" + "\\\n".join(line.replace(" ", "") for line in lines)


if __name__ == "__main__":
    click.echo(table(), nl=False)
