"""`retrain serve`: the model behind HTTP, and on a page."""

import os
from pathlib import Path
from typing import Any

import click

from retrain.cli.command import Command
from retrain.cli.container import has_own_network
from retrain.cli.options import WORKSPACE, precision_option
from retrain.config import ServeConfig
from retrain.errors import UsageError

PORT = 8501  # as TensorFlow Serving's REST
TOKEN = "RETRAIN_TOKEN"


@click.command("serve", cls=Command, listens=True)
@click.argument("tf_files", type=WORKSPACE)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="Port; 0: any."
)
@click.option(
    "--name", default=ServeConfig.name, show_default=True, help="What clients call the model."
)
@precision_option
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=ServeConfig.workers,
    show_default=True,
    help="Number of processes; one guesses on all cores already, so more mostly cost memory.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which clients reach the server; may be given again.",
)
@click.option(
    "--max-body",
    type=click.IntRange(1, 1024),
    default=ServeConfig.max_body,
    show_default=True,
    help="MiB of a request, at most.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1, 178),
    default=ServeConfig.max_pixels,
    show_default=True,
    help="Megapixels of a picture as it is decoded, at most.",
)
@click.option(
    "--max-requests",
    type=click.IntRange(min=1),
    default=ServeConfig.max_requests,
    show_default=True,
    help="Number of requests that are guessed or wait for it, at most.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=ServeConfig.timeout,
    show_default=True,
    help="Seconds that a request may take.",
)
@click.option(
    "--corrections/--no-corrections",
    default=None,
    help="Let the page add pictures to TF_FILES/corrections; if not given, where only this machine "
    f"or who knows the token ({TOKEN} in the environment) can do so.",
)
@click.option(
    "--log-requests/--no-log-requests",
    default=ServeConfig.log_requests,
    show_default=True,
    help="Write a line of JSON to stderr for each request.",
)
def command(tf_files: Path, host: str, port: int, **settings: Any) -> None:
    """Serve the model over HTTP, and on a page for people.

    It speaks the protocols of TensorFlow Serving, KServe and Triton, and the Hugging Face client;
    /docs tells how. A new model is taken over while it runs.

    TF_FILES is a workspace with a trained model, one of its runs, or a bundle.

    Example: retrain serve tf_files --port 8501
    """
    from dataclasses import replace

    from retrain.serve.app import Service
    from retrain.serve.server import serve, takes_corrections
    from retrain.web.server import address_of, is_loopback, listening

    token = os.environ.get(TOKEN, "")
    if token != token.strip() or not token.isascii():
        raise UsageError(f"{TOKEN} must be plain letters, digits and signs, without spaces.")
    if not settings["name"] or "/" in settings["name"]:
        raise UsageError(
            f"A name must have no slash. Received: {settings['name']!r}.", setting="name"
        )
    service = Service(tf_files, ServeConfig(**settings), token, corrections=False)
    service = replace(service, corrections=takes_corrections(service, host))
    server = listening(host, port)

    def ready() -> None:
        address = address_of(server)
        click.echo(f"Serving {tf_files} at {address} (Ctrl-C stops it).")
        if token:
            click.echo(
                f"Requests need the token in {TOKEN}, as `Authorization: Bearer TOKEN`; people "
                f"open {address}?token=TOKEN once."
            )
        if not is_loopback(host):
            click.secho(_exposed(host, bool(token)), fg="yellow", err=True)

    serve(service, server, ready)


def _exposed(host: str, with_token: bool) -> str:
    """Say who else can use a server that listens for other machines."""
    own = has_own_network()
    reach = "where its container's port is published" if own else f"from other machines at {host}"
    start = f"The server can be reached {reach}, unencrypted"
    if with_token:
        return f"{start}: who listens in on the way learns the token. See TLS in docs/serve.md."
    remedy = "publish the port on 127.0.0.1 alone" if own else "leave out --host"
    return f"{start} and without a token: anyone there can use it. Set {TOKEN}, or {remedy}."
