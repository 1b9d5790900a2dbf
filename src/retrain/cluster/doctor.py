"""Whether a cluster would work, node by node, found out on each of them."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retrain.cluster.connect import Cluster
from retrain.cluster.team import nodes
from retrain.cluster.versions import differences, own_versions
from retrain.data.sources import open_data
from retrain.data.stream import evenly
from retrain.errors import RetrainError, first_line
from retrain.jobs.doctor import Finding
from retrain.progress import counted
from retrain.workspace import Workspace

PATIENCE = 60.0  # seconds for a node to answer
COMPARED = 8  # pictures that a node shows that it sees


def examine(cluster: Cluster, root: Path | None) -> Iterator[Finding]:
    """Yield what is found of a cluster, and then of each of its nodes.

    Args:
        cluster: that this process has joined.
        root: a workspace, whose pictures the nodes should see; None for none.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    workers = nodes()
    cores, gpus = cluster.total("CPU"), cluster.total("GPU")
    text = f"{counted(len(workers), 'node')} to work on, {counted(cores, 'core')}, "
    yield Finding("cluster", "ok" if cores else "wrong", text + counted(gpus, "GPU"))
    shown = _some_pictures(root) if root else {}
    for node in workers:
        name = node["NodeManagerAddress"]
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        look = ray.remote(_look).options(num_cpus=0, scheduling_strategy=place, max_retries=0)
        try:
            found = ray.get(look.remote(shown), timeout=PATIENCE)
        except ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            yield Finding(name, "wrong", f"retrain does not run there: {first_line(cause)}")
            continue
        yield _compared(name, found["versions"])
        yield _equipped(name, node["Resources"], found)
        if shown:
            yield _seen(name, len(shown), found["unseen"])


def _compared(name: str, versions: Mapping[str, str]) -> Finding:
    if differing := differences(own_versions(training=True), versions):
        return Finding(name, "wrong", f"has {differing}")
    return Finding(name, "ok", "has the versions of this machine")


def _equipped(name: str, resources: Mapping[str, float], found: Mapping[str, Any]) -> Finding:
    """Say what a node works with; weights travel to it, so that none need be there."""
    store = resources.get("object_store_memory", 0) / 1e9
    cores, gpus = int(resources["CPU"]), int(resources.get("GPU", 0))
    text = f"{counted(cores, 'core')}, {counted(gpus, 'GPU')}, object store {store:.1f} GB"
    if gpus > found["devices"]:
        return Finding(name, "wrong", f"{text}, but it has the files of {found['devices']} GPUs")
    if cores > found["cores"]:
        return Finding(name, "note", f"{text}, but its processes may use {found['cores']} cores")
    return Finding(name, "ok", text)


def _seen(name: str, count: int, unseen: str) -> Finding:
    if not unseen:
        return Finding(name, "ok", f"sees the pictures at their paths ({count} compared)")
    return Finding(
        name,
        "note",
        f"does not see {unseen}: pictures are sent to it, and it cannot train with others",
    )


def _some_pictures(root: Path) -> dict[str, str]:
    """Return path and sha256 of some pictures."""
    try:
        examples = evenly(open_data(Workspace(root.absolute()).data).examples, COMPARED)
        paths = [str(example.path) for example in examples]
    except RetrainError:
        return {}
    return {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}


def _look(shown: Mapping[str, str]) -> dict[str, Any]:
    """Look around on a node."""
    from retrain.cluster.team_worker import is_here
    from retrain.data.stream import cores

    unseen = next((path for path, sha256 in shown.items() if not is_here(path, sha256)), "")
    devices = len([*Path("/dev").glob("nvidia[0-9]*")])
    return {
        "versions": own_versions(training=True),
        "cores": min(cores(), os.cpu_count() or 1),
        "devices": devices,
        "unseen": unseen,
    }
