"""What a cluster does for a training."""

from retrain.cluster.connect import Cluster
from retrain.cluster.features import ClusterFeatures
from retrain.cluster.team import ClusterTeam, nodes
from retrain.jobs.machines import Machines


def machines_of(cluster: Cluster, gpus: int | None = None) -> Machines:
    """Return what a cluster takes over of a training: features, and fine-tuning by several nodes.

    A single node fine-tunes no faster than this process, which does it itself.
    """
    team = ClusterTeam() if len(nodes()) > 1 else None
    return Machines(ClusterFeatures(cluster), team, gpus)
