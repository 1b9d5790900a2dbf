"""What must be the same on all nodes of a cluster, so that each says the same of a picture."""

import contextlib
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass

from retrain.version import VERSION

PACKAGES = ("ai-edge-litert", "numpy", "pillow", "ray")
TRAINING = ("keras", "tensorflow", "tensorflow-cpu")  # one of the last two


@dataclass(frozen=True)
class Node:
    """Where a worker is. versions: by what has one."""

    address: str
    versions: Mapping[str, str]


def own_versions(training: bool = False) -> dict[str, str]:
    """Return the versions of this process, by what has one.

    Args:
        training: whether those count that only a training needs.
    """
    found = {}
    for name in (*PACKAGES, *(TRAINING if training else ())):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name.removesuffix("-cpu")] = importlib.metadata.version(name)
    return {"retrain": VERSION, "Python": platform.python_version(), **found}


def differences(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """Say in what a node differs; "" where it does not.

    >>> differences({"numpy": "2.4.1", "ray": "2.60.0"}, {"numpy": "2.4.0", "ray": "2.60.0"})
    'numpy 2.4.0 (here 2.4.1)'
    """
    those = [name for name in theirs if name in ours and theirs[name] != ours[name]]
    those += [name for name in ours if name not in theirs]
    return ", ".join(f"{name} {theirs.get(name, 'missing')} (here {ours[name]})" for name in those)


def this_node(training: bool = False) -> Node:
    """Return where this worker is; for actors. training: as for `own_versions`."""
    import ray

    own = ray.get_runtime_context().get_node_id()
    address = next(n["NodeManagerAddress"] for n in ray.nodes() if n["NodeID"] == own)
    return Node(address, own_versions(training))
