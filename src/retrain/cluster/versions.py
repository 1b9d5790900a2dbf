"""What must be the same on all nodes of a cluster, so that each says the same of a picture."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from retrain.version import VERSION

PACKAGES = ("ai-edge-litert", "numpy", "pillow", "ray")


@dataclass(frozen=True)
class Node:
    """Where a worker is. versions: by what has one."""

    address: str
    versions: Mapping[str, str]


def own_versions() -> dict[str, str]:
    """Return the versions of this process, by what has one."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"retrain": VERSION, "Python": platform.python_version(), **found}


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Say in what a node differs; "" where it does not.

    >>> differences({"numpy": "2.4.1", "ray": "2.60.0"}, {"numpy": "2.4.0", "ray": "2.60.0"})
    'numpy 2.4.0 (here 2.4.1)'
    """
    those = [name for name in ours if theirs.get(name) != ours[name]]
    return ", ".join(f"{name} {theirs.get(name, 'missing')} (here {ours[name]})" for name in those)


def this_node() -> Node:
    """Return where this worker is; for actors."""
    import ray

    own = ray.get_runtime_context().get_node_id()
    address = next(n["NodeManagerAddress"] for n in ray.nodes() if n["NodeID"] == own)
    return Node(address, own_versions())
