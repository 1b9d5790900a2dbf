"""Prints the reference of all commands, made of their own help texts.

python -m retrain.cli.reference >docs/commands.md
"""

from collections.abc import Iterator

import click

from retrain.cli.main import COMMANDS, app

HEADER = """\
# Commands

<!-- Generated from the help texts: python -m retrain.cli.reference >docs/commands.md -->

Every command below can be started as `bash retrain.sh COMMAND ...`, which runs it in a container
where Docker or Podman answers and in a local Python environment where neither does. After
`pip install .` the same command is `retrain COMMAND ...`. `train.sh`, `guess.sh` and `guessDir.sh`
are short for `retrain.sh train`, `retrain.sh guess` and `retrain.sh guess-dir`.

Results go to stdout; news, progress bars and errors go to stderr. `--json`, where a command has it,
prints the result as one JSON value. An error is one line that says which rule was broken, what was
received and what to do about it. `--debug`, anywhere on the command line, adds the traceback and
the libraries' own logs.
"""
EXIT_CODES = {
    "0": "The command is done. Training pictures that cannot be read are listed, not an error.",
    "1": "This is a bug; please report it.",
    "2": "The command line is wrong.",
    "3": "The pictures do not allow it: there are none, one category only, or no readable file.",
    "4": "Pretrained weights are missing, damaged or out of reach.",
    "5": "There is no model, or this version cannot read it.",
    "6": "The command finished, but some of its inputs failed; they are listed.",
    "7": "The training finished, but an export disagrees with the model. The run is kept; the old "
    "model stays published.",
    "8": "The machine does not allow it: workspace in use, disk full, folder not writable.",
    "130, 143": "The command was interrupted or terminated. What was finished is kept, and the "
    "same command goes on from there.",
}
WIDTH = 80  # columns of the help texts, whatever the terminal's are


def reference() -> str:
    """Return the whole of docs/commands.md."""
    commands = [module.command for module in COMMANDS]
    parts = [HEADER, *_overview(commands)]
    for command in commands:
        parts += [f"\n## {command.name}\n\n", _help_block(command)]
    parts += ["\n## Exit codes\n\n| Code | Meaning |\n|---|---|\n"]
    parts += [f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items()]
    return "".join(parts)


def _overview(commands: list[click.Command]) -> Iterator[str]:
    """Yield a table with the first sentence of each command's help."""
    yield "\n| Command | What it does |\n|---|---|\n"
    for command in commands:
        sentence = " ".join((command.help or "").split("\n\n")[0].split())
        plain = sentence.replace("<", "&lt;").replace("*", "\\*")  # neither HTML nor emphasis
        yield f"| [{command.name}](#{command.name}) | {plain} |\n"


def _help_block(command: click.Command) -> str:
    """Return what `retrain COMMAND --help` prints, as a block of code."""
    with (
        app.make_context("retrain", [str(command.name)], resilient_parsing=True) as parent,
        click.Context(
            command, parent, command.name, terminal_width=WIDTH, max_content_width=WIDTH
        ) as context,
    ):
        return f"```text\n{command.get_help(context)}\n```\n"


if __name__ == "__main__":
    click.echo(reference(), nl=False)
