"""`retrain cluster`: whether a Ray cluster would work."""

from pathlib import Path

import click

from retrain.cli.command import Command
from retrain.cli.doctor import print_findings
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

    with joined(address) as cluster:
        wrong = print_findings(examine(cluster, tf_files), as_json)
    if wrong:
        names = ", ".join(dict.fromkeys(wrong))
        raise MachineError(f"The cluster would not work: {names}; see above.")
