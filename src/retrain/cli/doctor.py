"""`retrain doctor`: whether this machine can do the main job, and what stands in the way."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from retrain.cli.command import Command
from retrain.cli.options import WORKSPACE, json_option
from retrain.errors import MachineError

if TYPE_CHECKING:
    from retrain.jobs.doctor import Finding


@click.command("doctor", cls=Command, network=True)
@click.argument("tf_files", type=WORKSPACE, required=False)
@json_option
def command(tf_files: Path | None, as_json: bool) -> None:
    """Look at this machine, then train on drawn pictures and guess, in a temporary folder.

    The exit code is 0 only if the main job would work.

    Example: retrain doctor tf_files
    """
    from retrain.jobs.doctor import examine

    if wrong := print_findings(examine(tf_files), as_json):
        raise MachineError(f"The main job would not work here: {', '.join(wrong)}; see above.")


def print_findings(findings: Iterable["Finding"], as_json: bool) -> list[str]:
    """Print findings as they come, or all as JSON; return the names of what is wrong."""
    every = []
    for finding in findings:
        every.append(finding)
        if not as_json:
            click.echo(f"{finding.state:<6}{finding.name:<14} {finding.text}")
    wrong = [finding.name for finding in every if finding.state == "wrong"]
    if as_json:
        report = {"works": not wrong, "findings": [asdict(finding) for finding in every]}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    return wrong
