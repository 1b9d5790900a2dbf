"""A node of a cluster that trains together with others: it leads them, or follows."""

import hashlib
import json
import os
import pickle
import queue
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.cluster.versions import Node, this_node

if TYPE_CHECKING:
    from retrain.cluster.following import Told
    from retrain.training.fit import Course
    from retrain.training.tuning import Tuning

LOOK = 1.0  # seconds to wait for news


@dataclass(frozen=True)
class Work:
    """What is to be trained.

    tuning, course, shows: as for `Team.fit`. seconds: until the cycle must end. state: the content
    of a checkpoint; None at the beginning.
    """

    tuning: "Tuning"
    course: "Course"
    seconds: float
    state: bytes | None
    shows: bool


class Worker:
    """The actor: all cores and GPUs of a node."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()

    def ready(self, pictures: Sequence[tuple[str, str]]) -> tuple[Node, str, str]:
        """Return where this is, an address for the others, and a picture that is not seen here.

        Args:
            pictures: path and sha256 of some.
        """
        unseen = next((path for path, sha256 in pictures if not is_here(path, sha256)), "")
        node = this_node(training=True)
        with socket.socket() as free:
            free.bind((node.address, 0))
            return node, f"{node.address}:{free.getsockname()[1]}", unseen

    def fit(self, work: bytes, addresses: Sequence[str], index: int) -> None:
        """Train until the cycle ends.

        Args:
            work: a pickled Work.
            addresses: of all workers, the leader's first.
            index: of this one.
        """
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as on the driver
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        if len(addresses) > 1:
            role = {"type": "worker", "index": index}
            every = {"worker": [*addresses]}
            os.environ["TF_CONFIG"] = json.dumps({"cluster": every, "task": role})
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(self._cores)
        from retrain.model.devices import training_strategy

        together = len(addresses) > 1
        strategy = tf.distribute.MultiWorkerMirroredStrategy() if together else training_strategy()
        with tempfile.TemporaryDirectory(prefix="retrain-") as place, strategy.scope():
            work_of = pickle.loads(work)
            _train(work_of, strategy, index, len(addresses), Path(place), self._told.put)

    def told(self) -> "list[Told]":
        """Return what the leader has said since the last time, after a moment at most."""
        news = []
        try:
            news.append(self._told.get(timeout=LOOK))
            while True:
                news.append(self._told.get_nowait())
        except queue.Empty:
            return news


def is_here(path: str, sha256: str) -> bool:
    """Tell whether a file with this content, by its sha256 in hex, lies here at a path."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _train(
    work: Work,
    strategy: Any,
    index: int,
    workers: int,
    place: Path,
    tell: "Callable[[Told], None]",
) -> None:
    """Build the rig; lead the others, or follow."""
    import keras

    from retrain.cluster.following import (
        Echo,
        SentCheckpoints,
        exchange_of,
        follow,
        leading,
        shared,
    )
    from retrain.training.fit import fit
    from retrain.training.ladder import build
    from retrain.training.store import Stores

    keras.utils.set_random_seed(work.tuning.task.config.seed)
    echo, checkpoints = Echo(tell), SentCheckpoints(place, tell)
    if work.state:
        checkpoints.state.write_bytes(work.state)
    progress = checkpoints.progress()
    plan = progress.plan if progress else work.course.plan
    rig = build(work.tuning, plan, Stores(place, echo.warn))
    learner, sampler = rig.learner, rig.sampler
    course = replace(work.course, deadline=time.monotonic() + work.seconds)
    validation = rig.validation if work.shows else None
    if workers == 1:
        fit(learner, sampler, validation, course, checkpoints, echo, log=echo)
        return
    exchange, own = exchange_of(strategy), shared(sampler, index, workers)
    if index:
        checkpoints.load(learner)
        follow(learner, own, progress.step if progress else 0, exchange)
        return
    fit(leading(learner, exchange), own, validation, course, checkpoints, echo, log=echo)
    exchange(0.0, 0.0, 0.0)
