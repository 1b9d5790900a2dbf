"""`retrain cluster`: whether a Ray cluster would work."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from retrain.cli.command import Command
from retrain.cli.options import PATH, json_option
from retrain.errors import MachineError


@click.command("cluster", cls=Command)
@click.argument("action", type=click.Choice(["doctor"]))
@click.argument("address")
@click.argument("tf_files", type=PATH, required=False)
@json_option
def command(action: str, address: str, tf_files: Path | None, as_json: bool) -> None:
    """Look at each node of a Ray cluster: its versions, cores and GPUs, and what it sees.

    ADDRESS is HOST:PORT of the cluster's head, or local. With TF_FILES it is told whether nodes see
    the pictures at the same paths. `guess-dir` and `train` work on a cluster with --cluster.

    Example: retrain cluster doctor 192.168.1.10:6379 tf_files
    """
    from retrain.cluster.connect import joined
    from retrain.cluster.doctor import examine

    findings = []
    with joined(address) as cluster:
        for finding in examine(cluster, tf_files):
            findings.append(finding)
            if not as_json:
                click.echo(f"{finding.state:<6}{finding.name:<16}{finding.text}")
    wrong = [finding.name for finding in findings if finding.state == "wrong"]
    if as_json:
        report = {"works": not wrong, "findings": [asdict(finding) for finding in findings]}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    if wrong:
        names = ", ".join(dict.fromkeys(wrong))
        raise MachineError(f"The cluster would not work: {names}; see above.")
