"""`retrain check`: what may be wrong with the pictures, and what people said of it made good."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrain.cli.command import Command
from retrain.cli.options import WORKSPACE, json_option
from retrain.errors import InputsFailed, UsageError

if TYPE_CHECKING:
    from retrain.evaluate.findings import Finding
    from retrain.jobs.apply import Applied

SHOWN = 10  # findings of a kind
NAMED = 3  # pictures of a finding


@click.command("check", cls=Command, network=True)
@click.argument("tf_files", type=WORKSPACE)
@click.option(
    "--apply",
    "apply",
    is_flag=True,
    help="Move pictures as TF_FILES/corrections.csv says: to their categories' folders, and what "
    "is left out to TF_FILES/removed.",
)
@click.option(
    "--undo",
    type=click.IntRange(min=1),
    is_flag=False,
    flag_value=1,
    metavar="[N]",
    help="Bring back what the last N times of --apply moved; the last one if no number is given.",
)
@json_option
def command(tf_files: Path, apply: bool, undo: int | None, as_json: bool) -> None:
    """Look for what may be wrong with the pictures, before the first training or after it.

    It finds wrong labels, copies and series in several categories, unusual pictures, shortcuts that
    give a category away, and what is too few, too small or too dark. All findings go to
    TF_FILES/check.csv and TF_FILES/check.json, and no picture is changed or moved.

    Example: retrain check tf_files
    """
    from retrain.cli.console import Terminal

    if apply and undo:
        raise UsageError("--apply and --undo do not go together. Received: both.")
    if apply or undo:
        from retrain.jobs.apply import apply_corrections, take_back_steps

        if undo:
            _print_moves(take_back_steps(tf_files, undo, Terminal()), "Brought back", as_json)
        else:
            _print_moves(apply_corrections(tf_files, Terminal()), "Moved", as_json)
        return
    from retrain.evaluate.findings import to_json
    from retrain.jobs.check import check

    found = check(tf_files, Terminal()).findings
    if as_json:
        click.echo(json.dumps(to_json(found), indent=2, ensure_ascii=False))
        return
    _print_findings(found)
    click.echo(f"All findings: {tf_files / 'check.csv'}")


def _print_findings(found: Sequence["Finding"]) -> None:
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


def _print_moves(applied: "Applied", verb: str, as_json: bool) -> None:
    from retrain.progress import counted, one_line

    back = verb != "Moved"
    if as_json:
        values = {
            "moved": [asdict(move) for move in applied.moves],
            "failed": [{"path": path, "reason": reason} for path, reason in applied.failed],
        }
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        for move in applied.moves:
            ends = (move.target, move.source) if back else (move.source, move.target)
            click.echo(one_line(" -> ".join(ends)))
        if applied.moves and not back:
            click.echo(f"Moved {counted(len(applied.moves), 'picture')}; --undo brings them back.")
        elif applied.moves or applied.failed:
            click.echo(f"{verb} {counted(len(applied.moves), 'picture')}.")
        else:
            click.echo("The folders agree with the corrections." if not back else "Nothing moved.")
    for path, reason in applied.failed:
        click.echo(one_line(f"retrain: {path}: {reason}"), err=True)
    if applied.failed:
        raise InputsFailed(f"{counted(len(applied.failed), 'picture')} could not be brought back.")
