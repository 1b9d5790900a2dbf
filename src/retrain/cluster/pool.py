"""Work spread over the actors of a cluster: in order, with few pieces under way, whoever dies.

A worker that dies costs the chunks that it had, which go to others; one that joins gets its share.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from retrain.cluster.connect import Cluster
from retrain.cluster.versions import Node, differences, own_versions
from retrain.errors import MachineError, RetrainError
from retrain.progress import Reporter

AT_A_WORKER = 2  # chunks: one that it works on, and one that travels meanwhile
CARRIED = 32 << 20  # bytes of files after which no further one travels with them
AHEAD = 4  # chunks for each worker that are under way or wait for an earlier one
TRIES = 3  # deaths that a chunk survives whole, and then each of its items alone
LOOK = 2.0  # seconds between looks for nodes that have joined
LONELY = 10.0  # seconds without a worker after which that is said
PATIENCE = 300.0  # seconds without a worker after which the job gives up; machines start meanwhile

T = TypeVar("T")
Taken = TypeVar("Taken", contravariant=True)


class _Mark:
    """What stands for a result that is not there, beside results of any kind."""


WAITING, DIED = _Mark(), _Mark()
"""No result yet; the workers that had the item died."""


class Sent(NamedTuple):
    """What became of items that were to be sent; what is in neither is to be sent later.

    ref: the reference to a list of results; None if nothing was sent.
    places: the items that it is about, in its order.
    known: results that needed no worker, by the item's place.
    """

    ref: Any
    places: Sequence[int]
    known: Mapping[int, Any]


class Handler(Protocol[Taken]):
    """What a pool needs to know of the work."""

    def open(self, gpu: bool) -> Any:
        """Return a new actor, on a GPU or on one core.

        Its method `ready` returns its Node once it can work, else raises.
        """

    def send(self, worker: Any, items: Sequence[Taken], carried: bool) -> Sent:
        """Give an actor some items, as many as should travel at a time, but one at least.

        Args:
            worker: an actor of `open`.
            items: at least one.
            carried: whether to send the contents of files with them. If not, the result of an item
                whose file the worker does not see is None.
        """


@dataclass(eq=False)
class _Chunk(Generic[T]):
    items: list[T]
    results: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.results = [WAITING] * len(self.items)

    @property
    def done(self) -> bool:
        return not any(result is WAITING for result in self.results)


@dataclass(eq=False)
class _Job(Generic[T]):
    """Items of a chunk, by their places in it, that are sent together."""

    chunk: _Chunk[T]
    places: list[int]
    carried: bool = False
    deaths: int = 0

    def items(self) -> list[T]:
        return [self.chunk.items[place] for place in self.places]

    def part(self, places: Sequence[int]) -> "_Job[T]":
        """Return a job for some of its items, by their places in this one."""
        return replace(self, places=[self.places[place] for place in places])

    def smaller(self) -> "list[_Job[T]]":
        """Return a job for each item: one of them may be what kills workers."""
        return [_Job(self.chunk, [place], self.carried) for place in self.places]


@dataclass(eq=False)
class _Worker(Generic[T]):
    actor: Any
    opening: Any  # the reference to its Node; None once it works
    node: Node | None = None
    jobs: dict[Any, _Job[T]] = field(default_factory=dict)  # by the reference to their results
    blind: bool = False  # whether it saw none of the files that it was shown


class Pool(Generic[T]):
    """Actors on all nodes of a cluster, one for each core, or for each GPU where there are some."""

    def __init__(
        self,
        cluster: Cluster,
        handler: Handler[T],
        report: Reporter,
        patience: float = PATIENCE,
    ) -> None:
        """Prepare; actors are opened when there is work.

        Args:
            cluster: that this process has joined.
            handler: what the work is.
            report: hears of workers that die or do not fit.
            patience: seconds that the job waits for a worker while there is none.
        """
        self._cluster, self._handler, self._report = cluster, handler, report
        self._patience, self._lonely = patience, False
        self._workers: list[_Worker[T]] = []
        self._again: deque[_Job[T]] = deque()
        self._refused: set[str] = set()
        self._looked = -LOOK
        self._worked = time.monotonic()

    def results(self, chunks: Iterable[list[T]]) -> Iterator[tuple[T, Any]]:
        """Yield each item with its result, in order.

        Args:
            chunks: lists of items that are sent together; the iterable may be endless.

        Returns:
            What the actor returned for the item; DIED where all that had it died.

        Raises:
            MachineError: no worker can work, or versions differ.
            RetrainError: what an actor raised.
        """
        waiting: deque[_Chunk[T]] = deque()
        coming = iter(chunks)
        more = True
        self._worked = time.monotonic()
        try:
            while more or waiting:
                self._grow()
                while more and len(waiting) < AHEAD * max(1, len(self._workers)):
                    if not self._free() or self._again:
                        break
                    items = next(coming, None)
                    if items is None:
                        more = False
                        break
                    chunk = _Chunk(items)
                    waiting.append(chunk)
                    self._give(_Job(chunk, list(range(len(items)))))
                while self._again and self._free():
                    self._give(self._again.popleft())
                if not more and not waiting:
                    return
                self._hear()
                while waiting and waiting[0].done:
                    chunk = waiting.popleft()
                    yield from zip(chunk.items, chunk.results, strict=True)
        finally:
            self.close()

    def close(self) -> None:
        """End the actors."""
        import ray

        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers.clear()

    def _free(self) -> "_Worker[T] | None":
        """Return the worker that has least to do, if one can take more."""
        able = [w for w in self._workers if w.node is not None and len(w.jobs) < AT_A_WORKER]
        return min(able, key=lambda w: len(w.jobs), default=None)

    def _give(self, job: _Job[T]) -> None:
        worker = self._free()
        assert worker is not None
        job.carried |= worker.blind
        sent = self._handler.send(worker.actor, job.items(), job.carried)
        for place, result in sent.known.items():
            job.chunk.results[job.places[place]] = result
        if sent.places:
            worker.jobs[sent.ref] = job.part(sent.places)
        settled = {*sent.places, *sent.known}
        if rest := [place for place in range(len(job.places)) if place not in settled]:
            self._again.appendleft(job.part(rest))

    def _grow(self) -> None:
        """Open a worker for each core, or GPU, that the cluster has more than before."""
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        gpus = self._cluster.total("GPU")
        wanted = gpus or self._cluster.total("CPU")
        # One that still waits for its core waits for no other.
        for _ in range(wanted - len(self._workers)):
            actor = self._handler.open(gpu=gpus > 0)
            self._workers.append(_Worker(actor, actor.ready.remote()))

    def _hear(self) -> None:
        """Wait for an answer, or a little; note what came."""
        import ray

        asked = {ref: worker for worker in self._workers for ref in worker.jobs}
        asked |= {w.opening: w for w in self._workers if w.opening is not None}
        if not asked:
            time.sleep(0.1)
        came = ray.wait([*asked], num_returns=1, timeout=LOOK)[0] if asked else []
        for ref in came:
            worker = asked[ref]
            try:
                answer = ray.get(ref)
            except (ray.exceptions.RayActorError, ray.exceptions.ObjectLostError):
                self._bury(worker)
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, RetrainError):
                    raise error.cause from None
                raise MachineError(
                    "retrain must be installed on each node of the cluster, in the same version. "
                    f"Received: {str(error.cause or error).strip().splitlines()[-1]}"
                ) from error
            else:
                if worker.opening == ref:
                    self._admit(worker, answer)
                else:
                    self._note(worker, worker.jobs.pop(ref), answer)
        self._watch()

    def _watch(self) -> None:
        """Say so where there is no worker for a while; give up in the end.

        Raises:
            MachineError: patience is over.
        """
        if any(worker.node for worker in self._workers):
            self._worked, self._lonely = time.monotonic(), False
            return
        alone = time.monotonic() - self._worked
        if alone > self._patience:
            raise MachineError(
                f"A core of the cluster must be free within {self._patience:g} seconds. Received: "
                "none; other jobs hold them, or its nodes have left. What was finished is kept."
            )
        if alone > LONELY and not self._lonely:
            self._lonely = True
            self._report.warn("No core of the cluster is free; waiting for one.")

    def _admit(self, worker: _Worker[T], node: Node) -> None:
        """Let a worker work, if its results are those of this machine."""
        worker.opening = None
        differing = differences(own_versions(training="keras" in node.versions), node.versions)
        if not differing:
            worker.node = node
            return
        reason = (
            f"All nodes of a cluster must have the same versions. Received: {node.address} has "
            f"{differing}."
        )
        if all(each.node is None and each.opening is None for each in self._workers):
            raise MachineError(f"{reason} Install those of this machine there.")
        if node.address not in self._refused:
            self._refused.add(node.address)
            self._report.warn(f"{reason} It is not used.")

    def _note(self, worker: _Worker[T], job: _Job[T], results: Sequence[Any]) -> None:
        unseen = [place for place, r in zip(job.places, results, strict=True) if r is None]
        if unseen and not job.carried:
            if len(unseen) == len(job.places):
                worker.blind = True
            self._again.append(_Job(job.chunk, unseen, carried=True))
        for place, result in zip(job.places, results, strict=True):
            if result is not None:
                job.chunk.results[place] = result

    def _bury(self, worker: _Worker[T]) -> None:
        """Give what a dead worker had to others."""
        self._workers.remove(worker)
        self._looked = -LOOK  # another may take its place at once
        if worker.node is None:
            return
        self._report.warn(
            f"A worker on {worker.node.address} died; what it had is given to others."
        )
        for job in reversed(worker.jobs.values()):
            job.deaths += 1
            if job.deaths < TRIES:
                self._again.appendleft(job)
            elif len(job.places) > 1:
                self._again.extendleft(reversed(job.smaller()))
            else:
                job.chunk.results[job.places[0]] = DIED
