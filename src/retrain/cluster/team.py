"""Fine-tuning by the nodes of a cluster together: one model, each batch shared among them.

TensorFlow's MultiWorkerMirroredStrategy sums gradients; `training/optim.py` has the step. One
worker leads: it runs the same `fit` as one machine does. When one is lost, all that are left begin
anew from the last checkpoint.
"""

import pickle
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain.cluster.team_worker import LOOK, Work, Worker
from retrain.cluster.versions import Node, differences, own_versions
from retrain.data.stream import evenly
from retrain.errors import DataError, MachineError, RetrainError
from retrain.progress import Reporter, counted

if TYPE_CHECKING:
    from retrain.training.checkpoints import Checkpoints, Progress
    from retrain.training.fit import Course, Log
    from retrain.training.tuning import Tuning

PATIENCE = 120.0  # seconds for the cores of a node to be free
COMPARED = 16  # pictures by which a worker shows that it sees the folder
NOTICED = 15.0  # seconds until the death of a worker is known to all
TRIES = 3  # losses in a row without a round between them, after which training gives up


class _Lost(Exception):
    """A worker is lost; `address` of its node."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


class ClusterTeam:
    """Trains on all nodes of a cluster together; the `Team` of fine-tuning."""

    @property
    def size(self) -> int:
        """How many nodes there are now."""
        return len(nodes())

    def fit(
        self,
        tuning: "Tuning",
        course: "Course",
        checkpoints: "Checkpoints",
        report: Reporter,
        *,
        log: "Log",
        shows: bool,
    ) -> "Progress":
        """Do what `Team.fit` says.

        Raises:
            MachineError: no node can train, or one differs. DataError: one sees other pictures.
        """
        pictures = evenly(tuning.learned_from.pictures, COMPARED)
        shown = [(str(picture.path), picture.sha256) for picture in pictures]
        in_vain, learned = 0, checkpoints.learned()
        while in_vain < TRIES:
            actors = _open_on_each_node()
            try:
                workers = _ready(actors, shown, course.plan.batch)
                report.say(f"Fine-tuning on {counted(len(workers), 'node')}.")
                work = Work(
                    _lean(tuning),
                    course,
                    course.deadline - time.monotonic(),
                    checkpoints.state.read_bytes() if checkpoints.progress() else None,
                    shows,
                )
                _run(workers, work, checkpoints, report, log)
            except _Lost as lost:
                before, learned = learned, checkpoints.learned()
                in_vain = in_vain + 1 if learned == before else 1
                report.warn(
                    f"The worker on {lost.address} was lost. Fine-tuning goes on from step "
                    f"{learned} with those that are left."
                )
            else:
                progress = checkpoints.progress()
                assert progress is not None
                return progress
            finally:
                _end(actors)
        raise MachineError(
            f"The nodes of a cluster must reach each other to train together. Received: {TRIES} "
            "losses without a step between them. Open all ports among the nodes, or train on one."
        )


def _lean(tuning: "Tuning") -> "Tuning":
    """Return what workers need of a tuning; features and what else it holds stay here."""

    def without_features(those: Any) -> Any:
        return replace(those, features=np.empty((len(those.labels), 0), np.float32))

    task = replace(tuning.task, network=None, parts={}, groups=(), varied=None, team=None)
    return replace(
        tuning,
        task=task,
        learned_from=without_features(tuning.learned_from),
        judged_by=without_features(tuning.judged_by),
    )


def nodes() -> list[Mapping[str, Any]]:
    """Return what Ray knows of each living node that has cores to work with."""
    import ray

    return [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]


def _open_on_each_node() -> list[Any]:
    """Return an actor for each node."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actors = []
    for node in nodes():
        cores = int(node["Resources"]["CPU"])
        options = {
            "num_cpus": cores,
            "num_gpus": int(node["Resources"].get("GPU", 0)),
            "scheduling_strategy": NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
            "max_concurrency": 2,  # it trains, and tells meanwhile
        }
        actors.append(ray.remote(Worker).options(**options).remote(cores))
    return actors


@dataclass(frozen=True)
class _Member:
    actor: Any
    node: Node
    address: str


def _ready(actors: Sequence[Any], shown: Sequence[tuple[str, str]], most: int) -> list[_Member]:
    """Return those that can train now, at most so many.

    Raises:
        MachineError: there is none, or one has other versions. DataError: it sees other pictures.
    """
    import ray

    asked = {actor.ready.remote(shown): actor for actor in actors}
    came, _ = ray.wait([*asked], num_returns=len(asked), timeout=PATIENCE) if asked else ([], [])
    members = []
    for ref in asked:
        if ref not in came:
            continue
        try:
            node, address, unseen = ray.get(ref)
        except ray.exceptions.RayError:  # its node has just left
            continue
        if differing := differences(own_versions(training=True), node.versions):
            raise MachineError(
                "All nodes of a cluster must have the same versions. Received: "
                f"{node.address} has {differing}. Install those of this machine there."
            )
        if unseen:
            raise DataError(
                "To train together, each node must see the workspace at the same path, with the "
                f"same pictures. Received: {node.address} does not see {unseen}. Share the folder, "
                "by NFS for example, or train on one machine."
            )
        members.append(_Member(asked[ref], node, address))
    if not members:
        raise MachineError(
            f"A node of the cluster must be free within {PATIENCE:g} seconds to train. Received: "
            "none; other jobs hold the cores, or the nodes have left. What was finished is kept."
        )
    return members[:most]


def _run(
    members: Sequence[_Member],
    work: Work,
    checkpoints: "Checkpoints",
    report: Reporter,
    log: "Log",
) -> None:
    """Train to the end of the cycle; do here what the leader tells.

    Raises:
        _Lost: a worker is gone.
    """
    import ray

    from retrain.cluster.following import Replay

    packed = ray.put(pickle.dumps(work))
    addresses = [member.address for member in members]
    fits = {
        member.actor.fit.remote(packed, addresses, index): member
        for index, member in enumerate(members)
    }
    leader, replay = members[0], Replay(checkpoints, report, log)
    news = leader.actor.told.remote()
    try:
        while fits:
            came, _ = ray.wait([*fits, news], num_returns=1)
            member = leader if came[0] == news else fits[came[0]]
            answer = _answer(came[0], member, fits)
            if came[0] != news:
                del fits[came[0]]
                continue
            for told in answer:
                replay(told)
            news = leader.actor.told.remote()
        for told in [*_answer(news, leader, {}), *_answer(leader.actor.told.remote(), leader, {})]:
            replay(told)
    finally:
        replay.close()


def _answer(ref: Any, member: _Member, fits: Mapping[Any, _Member]) -> Any:
    """Return what a member says.

    Args:
        ref: the reference to it.
        member: who says it.
        fits: the references by which others show that they are gone.

    Raises:
        _Lost: it is gone, or lost touch with another that is.
    """
    import ray

    try:
        return ray.get(ref)
    except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
        raise _Lost(member.node.address) from None
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, RetrainError):
            raise error.cause from None
        if type(error.cause).__name__ in ("UnavailableError", "AbortedError", "InternalError"):
            raise _Lost(_gone(fits) or member.node.address) from error
        raise


def _gone(fits: Mapping[Any, _Member]) -> str:
    """Return where a worker died with which the others have lost touch; "" if nobody knows."""
    import ray

    end = time.monotonic() + NOTICED
    while time.monotonic() < end:
        for ref in ray.wait([*fits], num_returns=len(fits), timeout=LOOK)[0]:
            try:
                ray.get(ref)
            except ray.exceptions.RayActorError:
                return fits[ref].node.address
            except ray.exceptions.RayError:
                continue
    return ""


def _end(actors: Sequence[Any]) -> None:
    import ray

    for actor in actors:
        ray.kill(actor)
