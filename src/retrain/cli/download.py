"""`retrain download`: a list of addresses becomes a category of pictures."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from retrain.cli.command import Command
from retrain.cli.gathering import category_option, print_counts
from retrain.cli.options import OUTPUT_FOLDER, PATH, json_option
from retrain.errors import InputsFailed

MEBI = 1 << 20


@click.command("download", cls=Command, network=True)
@click.argument("tf_files", type=OUTPUT_FOLDER)
@click.argument("list_", metavar="LIST", type=PATH)
@category_option
@click.option(
    "--parallel",
    type=click.IntRange(1, 256),
    default=32,
    show_default=True,
    help="Number of addresses that are fetched at the same time.",
)
@click.option(
    "--per-host",
    type=click.IntRange(1, 64),
    default=6,
    show_default=True,
    help="How many of these may be of one server.",
)
@click.option(
    "--most-mib",
    type=click.FloatRange(0.001, 256),
    default=20,
    show_default=True,
    help="Size of a picture's file, in MiB, above which it is left.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 3600),
    default=60,
    show_default=True,
    help="Time that one attempt at an address may take.",
)
@click.option(
    "--attempts",
    type=click.IntRange(1, 10),
    default=3,
    show_default=True,
    help="Number of attempts where a server is busy or does not answer.",
)
@click.option("--again", is_flag=True, help="Also try again what was given up for good.")
@click.option(
    "--ignore-robots",
    is_flag=True,
    help="Do not ask for robots.txt. Servers say there what programs should not fetch; ignore it "
    "only where you have been allowed to.",
)
@click.option(
    "--allow-private",
    is_flag=True,
    help="Also fetch from private and loopback addresses, and through the proxy that the "
    "environment names. Without it no list can reach machines of your own network.",
)
@json_option
def command(
    tf_files: Path,
    list_: Path,
    category: str | None,
    parallel: int,
    per_host: int,
    most_mib: float,
    seconds: float,
    attempts: int,
    as_json: bool,
    **allowed: bool,
) -> None:
    """Download the pictures of a list of addresses into TF_FILES/data/<category>/.

    LIST is a text file with an address a line, a table with the columns url[,category][,licence],
    or a folder of such files, each named after its category, such as cat.txt or urls_cat.csv. Only
    files that decode to their end are kept. TF_FILES/sources.csv tells of each address what became
    of it; the same command again fetches only what is missing.

    Example: retrain download tf_files cats.txt --category cat
    """
    from retrain.cli.console import Terminal
    from retrain.gather.download import HowToDownload, download
    from retrain.gather.fetch import Limits
    from retrain.progress import counted, duration

    limits = Limits(bytes=int(most_mib * MEBI), seconds=seconds, attempts=attempts)
    how = HowToDownload(parallel, per_host, limits, **allowed)
    result = download(tf_files, list_, category, how, Terminal())
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
    else:
        print_counts(result.kept, "new pictures")
        if result.duplicates:
            click.echo(f"{result.duplicates:7d}  of pictures that were there already")
        if result.before:
            click.echo(f"{result.before:7d}  fetched before")
        if result.given_up:
            click.echo(f"{result.given_up:7d}  given up before; --again tries them once more")
        print_counts(result.failed, f"gave no picture, {duration(result.seconds)} in all")
    if failed := sum(result.failed.values()):
        raise InputsFailed(
            f"{counted(failed, 'address', 'addresses')} gave no picture; see "
            f"{tf_files / 'sources.csv'}."
        )
