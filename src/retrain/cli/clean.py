"""`retrain clean`: a page in the browser on which pictures are looked through and corrected."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from retrain.cli import train as train_command
from retrain.cli.command import Command
from retrain.cli.options import WORKSPACE

if TYPE_CHECKING:
    from retrain.workspace import Workspace

PORT = 8765
_ONCE = ("--json", "--fresh", "--with-corrections", "--")  # what is not for the next training


@click.command("clean", cls=Command, network=True, listens=True)
@click.argument("tf_files", type=WORKSPACE)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen at; any other than this one can be reached from other machines.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help=f"Port to listen at; {PORT} if not given, or any free one where that is taken.",
)
@click.option("--browser/--no-browser", default=True, help="Open the page in a browser.")
def command(tf_files: Path, host: str, port: int | None, browser: bool) -> None:
    """Show what may be wrong with the pictures, and put it right, on a page in the browser.

    Choices go to TF_FILES/corrections.csv at once, which every training reads; no picture is moved
    or deleted. Ctrl-C ends the page, and the next time it goes on where you were.

    Example: retrain clean tf_files
    """
    from retrain.clean.server import Listening, serve_page
    from retrain.clean.training import Training
    from retrain.cli.console import Terminal
    from retrain.evaluate.findings import Finding
    from retrain.web import server as web
    from retrain.workspace import Workspace

    workspace = Workspace(tf_files.absolute())
    arguments = training_arguments(workspace, tf_files)
    training = Training(
        workspace,
        [sys.executable, "-m", "retrain", *arguments],
        shlex.join(["retrain", *arguments]),
    )

    def ready(address: str) -> None:
        click.echo(f"Your pictures: {address}")
        click.echo("Ctrl-C ends the page; all choices are kept.", err=True)
        if browser:
            web.open_browser(address)

    listening = Listening(host, free_port(host, port))
    terminal = Terminal()

    def look() -> Sequence[Finding]:
        from retrain.jobs.check import check  # takes a second, and is seldom needed

        return check(tf_files, terminal).findings

    serve_page(workspace, look, training, listening, terminal, ready)


def free_port(host: str, port: int | None) -> int:
    """Return the port that was asked for, the usual one, or 0 where that is taken."""
    from retrain.errors import MachineError
    from retrain.web import server as web

    if port is not None:
        return port
    try:
        web.listening(host, PORT).close()
    except MachineError:
        return 0
    return PORT


def training_arguments(workspace: "Workspace", tf_files: Path) -> list[str]:
    """Return the arguments of a training like the one that made the published model."""
    from retrain.errors import BundleError
    from retrain.workspace import open_run

    try:
        words = shlex.split(open_run(workspace.root).manifest.command)
    except (BundleError, ValueError):
        words = []
    options = _options(words[2:]) if words[:2] == ["retrain", "train"] else []
    return ["train", str(tf_files), *options]


def _options(words: Sequence[str]) -> list[str]:
    """Return the options of a training's command line, without its workspace.

    A line that this version does not understand has none.
    """
    known = click.Context(train_command.command, help_option_names=["-h", "--help"])
    parser = train_command.command.make_parser(known)

    def workspace_of(line: Sequence[str]) -> str | None:
        """Return the argument of a line; None where there is none, or "" if it is no such line."""
        try:
            found = parser.parse_args([*line])[0].get("tf_files")
        except click.UsageError:
            return ""
        return found if isinstance(found, str) else None

    own = workspace_of(words)
    for place in (place for place, word in enumerate(words) if word == own):
        others = [*words[:place], *words[place + 1 :]]
        if workspace_of(others) is None:
            return _without_idle([word for word in others if word not in _ONCE], parser)
    return []


def _without_idle(options: list[str], parser: Any) -> list[str]:
    """Leave out a `--prefer` that has nothing to choose among, as earlier versions let it stand."""
    if "backbone__compare" in parser.parse_args([*options])[0]:
        return options
    return [
        word
        for before, word in zip(["", *options], options, strict=False)
        if word.partition("=")[0] != "--prefer" and before != "--prefer"
    ]
