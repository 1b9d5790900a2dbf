"""`retrain doctor`: whether this machine can do the main job, and what stands in the way."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from retrain.cli.command import Command
from retrain.cli.options import WORKSPACE, json_option
from retrain.errors import MachineError


@click.command("doctor", cls=Command, network=True)
@click.argument("tf_files", type=WORKSPACE, required=False)
@json_option
def command(tf_files: Path | None, as_json: bool) -> None:
    """Look at this machine, then train on drawn pictures and guess, in a temporary folder.

    The exit code is 0 only if the main job would work.

    Example: retrain doctor tf_files
    """
    from retrain.jobs.doctor import examine

    findings = []
    for finding in examine(tf_files):
        findings.append(finding)
        if not as_json:
            click.echo(f"{finding.state:<6}{finding.name:<15}{finding.text}")
    wrong = [finding.name for finding in findings if finding.state == "wrong"]
    if as_json:
        report = {"works": not wrong, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    if wrong:
        raise MachineError(f"The main job would not work here: {', '.join(wrong)}; see above.")
