"""`retrain doctor`: whether this machine can do the main job, and what stands in the way."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from retrain.errors import MachineError


def command(
    tf_files: Annotated[
        Path | None, typer.Argument(help="Workspace to look at too.", metavar="[TF_FILES]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at this machine, then train on drawn pictures and guess, in a temporary folder.

    The exit code is 0 only if the main job would work.

    Example: retrain doctor tf_files
    """
    from retrain.jobs.doctor import examine

    findings = []
    for finding in examine(tf_files):
        findings.append(finding)
        if not as_json:
            typer.echo(f"{finding.state:<6}{finding.name:<15}{finding.text}")
    wrong = [finding.name for finding in findings if finding.state == "wrong"]
    if as_json:
        report = {"works": not wrong, "findings": [asdict(finding) for finding in findings]}
        typer.echo(json.dumps(report, indent=2, ensure_ascii=False))
    if wrong:
        raise MachineError(f"The main job would not work here: {', '.join(wrong)}; see above.")
