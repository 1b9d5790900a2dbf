"""`retrain check`: what may be wrong with the pictures, and what people said of it made good."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrain.cli.command import Command
from retrain.cli.options import WORKSPACE, json_option

if TYPE_CHECKING:
    from retrain.evaluate.findings import Finding

SHOWN = 10  # findings of a kind
NAMED = 3  # pictures of a finding


@click.command("check", cls=Command, network=True)
@click.argument("tf_files", type=WORKSPACE)
@json_option
def command(tf_files: Path, as_json: bool) -> None:
    """Look for what may be wrong with the pictures, before the first training or after it.

    Wrong labels, copies and series in several categories, unusual pictures, shortcuts that give a
    category away, and what is too few, too small or too dark. Nothing is changed. All findings go
    to TF_FILES/check.csv and TF_FILES/check.json.

    Example: retrain check tf_files
    """
    from retrain.cli.console import Terminal
    from retrain.evaluate.findings import to_json
    from retrain.jobs.check import check

    found = check(tf_files, Terminal()).findings
    if as_json:
        click.echo(json.dumps(to_json(found), indent=2, ensure_ascii=False))
        return
    _print(found)
    click.echo(f"All findings: {tf_files / 'check.csv'}")


def _print(found: Sequence["Finding"]) -> None:
    from retrain.evaluate.findings import TITLES, of_kind
    from retrain.progress import one_line

    if not found:
        click.echo("Nothing stands out.")
    for kind in dict.fromkeys(one.kind for one in found):  # with the worst finding first
        own = of_kind(found, kind)
        click.echo(f"{TITLES[kind].capitalize()}: {len(own)}")
        for one in own[:SHOWN]:
            names = ", ".join(one.pictures[:NAMED])
            more = f" and {len(one.pictures) - NAMED} more" if len(one.pictures) > NAMED else ""
            click.echo(one_line(f"  {one.score:.2f}  {names + more or one.category}: {one.why}"))
        if len(own) > SHOWN:
            click.echo(f"  and {len(own) - SHOWN} more")
