"""`retrain runs`: the runs of a workspace."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrain.cli import interrupts
from retrain.cli.command import Command
from retrain.cli.options import WORKSPACE, json_option
from retrain.errors import UsageError

if TYPE_CHECKING:
    from retrain.jobs.runs import ListedRun


@click.command("runs", cls=Command, asks=True)
@click.argument("tf_files", type=WORKSPACE)
@click.option("--use", metavar="RUN", help="Publish this run, so that guesses use it.")
@click.option(
    "--prune",
    type=click.IntRange(min=0),
    metavar="N",
    help="Delete all runs but the newest N, and interrupted ones, after asking; never the "
    "published run.",
)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@json_option
def command(tf_files: Path, use: str | None, prune: int | None, yes: bool, as_json: bool) -> None:
    """List the runs of a workspace, newest first; the published one is marked with *.

    Example: retrain runs tf_files --prune 3
    """
    from retrain.jobs import runs

    if use is not None:
        from retrain.cli.console import Terminal

        chosen = runs.use(tf_files, use, Terminal())
        click.echo(f"Model: {tf_files / 'model'} -> {chosen.name}", err=True)
    if prune is not None:
        _prune(tf_files, prune, yes)
    found = runs.list_runs(tf_files)
    if as_json:
        click.echo(json.dumps([_values(run) for run in found], indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo("There are no runs yet.", err=True)
    for run in found:
        click.echo(_line(run))


def _prune(tf_files: Path, keep: int, yes: bool) -> None:
    from retrain.cli.console import Terminal
    from retrain.jobs import runs
    from retrain.progress import counted

    old = runs.prunable(tf_files, keep, Terminal())
    for run in old:
        click.echo(_line(run), err=True)
    what = f"{counted(len(old), 'run')}, {sum(run.size for run in old) / 1e6:.0f} MB"
    if not old:
        click.echo("There is no run to delete.", err=True)
    elif yes or _agreed(f"Delete {what}?"):
        runs.delete(tf_files, old, Terminal())
        click.echo(f"Deleted {what}.", err=True)


def _agreed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if interrupts.asked():
            raise
        raise UsageError(
            "Deleting runs needs an answer. Received: none. --yes deletes without asking."
        ) from None


def _line(run: "ListedRun") -> str:
    mark = "*" if run.published else " "
    when = run.date.strftime("%Y-%m-%d %H:%M UTC") if run.date else "?"
    name = f"{mark} {run.run.name}  {when}  {run.size / 1e6:6.1f} MB"
    if run.manifest is None:
        return f"{name}  {run.problem}"
    accuracy = "not tested"
    if run.accuracy:
        accuracy = f"{run.accuracy[0].replace('_', '-')} accuracy {run.accuracy[1]:.3f}"
    kind = "fine-tuned" if run.manifest.kept == "fine_tune" else "head only"
    if not run.manifest.checks.get("passed"):
        accuracy += ", but its exports disagree"
    line = f"{name}  {accuracy}  {run.manifest.backbone} at {run.manifest.size} px, {kind}"
    return f"{line}, a copy of {run.copy_of}" if run.copy_of else line


def _values(run: "ListedRun") -> dict[str, object]:
    manifest = run.manifest
    return {
        "run": run.run.name,
        "date": run.date.isoformat() if run.date else None,
        "published": run.published,
        "bytes": run.size,
        "backbone": manifest.backbone if manifest else None,
        "kept": manifest.kept if manifest else None,
        "metrics": manifest.metrics if manifest else None,
        "copy_of": run.copy_of,
        "problem": run.problem,
    }
