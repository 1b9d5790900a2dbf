"""How one worker leads a training and others follow: the same steps, at the same rates.

Before each step the leader tells all how to take it, by a sum to which the others add nothing.
What it says to people, it says to the driver.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from retrain.files import atomic_writer
from retrain.progress import Advance, Reporter
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.fit import Log
from retrain.training.history import EpochRow
from retrain.training.learner import Learner
from retrain.training.pipeline import Sampler

Told = tuple[str, tuple[Any, ...]]  # the name of what the leader did, and with what
Exchange = Callable[[float, float, float], tuple[float, float, float]]


def exchange_of(strategy: Any) -> Exchange:
    """Return what all workers call together: it returns the sums of what they brought."""
    here = len(strategy.extended.worker_devices)

    def of_replica(brought: tf.Tensor) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        first = context.replica_id_in_sync_group % here == 0
        return context.all_reduce(
            tf.distribute.ReduceOp.SUM, tf.where(first, brought, tf.zeros_like(brought))
        )

    @tf.function(input_signature=[tf.TensorSpec((3,), tf.float32)])  # type: ignore[untyped-decorator]
    def run(brought: tf.Tensor) -> tf.Tensor:
        sums = strategy.run(of_replica, args=(brought,))
        return strategy.experimental_local_results(sums)[0]

    def exchange(going: float, share: float, momentum: float) -> tuple[float, float, float]:
        going, share, momentum = run(tf.constant([going, share, momentum])).numpy().tolist()
        return going, share, momentum

    return exchange


@dataclass(frozen=True)
class _Leading(Learner):
    """A Learner that tells the others how to take each step before it takes it.

    pace: of the next step, share and momentum.
    """

    pace: list[float]

    def set_pace(self, share: float, momentum: float) -> None:
        """Remember it, until all take it."""
        self.pace[:] = share, momentum


def leading(learner: Learner, exchange: Exchange) -> Learner:
    """Return a learner whose steps the others take, too."""
    pace = [0.0, 0.0]

    def step(inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        _, share, momentum = exchange(1.0, *pace)
        learner.set_pace(share, momentum)  # rounded as it was for the others
        return learner.step(inputs, targets)

    return _Leading(learner.model, learner.optimizer, step, learner.peak, pace)


def follow(learner: Learner, sampler: Sampler, start: int, exchange: Exchange) -> None:
    """Take the leader's steps with it, from one (from 0) on, until it goes on no more."""
    batches = sampler.batches(start)
    try:
        while True:
            going, share, momentum = exchange(0.0, 0.0, 0.0)
            if not going:
                return
            learner.set_pace(share, momentum)
            learner.step(*next(batches))
    finally:
        batches.close()


def shared(sampler: Any, worker: int, workers: int) -> Sampler:
    """Return a sampler that gives a worker its shares of the batches."""
    own: Sampler = replace(sampler, visits=replace(sampler.visits, worker=worker, workers=workers))
    return own


class Echo:
    """A Reporter and a Log that tell the driver what they hear."""

    def __init__(self, tell: Callable[[Told], None]) -> None:
        self._tell = tell

    def say(self, text: str) -> None:
        """Tell one line of news."""
        self._tell(("say", (text,)))

    def warn(self, text: str) -> None:
        """Tell one line that the user should act on."""
        self._tell(("warn", (text,)))

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Advance]:
        """Tell of progress towards `total`."""
        self._tell(("bar", (label, total)))
        try:
            yield lambda count: self._tell(("advance_by", (count,)))
        finally:
            self._tell(("end", ()))

    def table(self, columns: Sequence[str]) -> Callable[[Sequence[str]], None]:
        """Tell of a table and of its rows."""
        self._tell(("table", (columns,)))
        return lambda row: self._tell(("row", (row,)))

    def batch(
        self, stage: str, step: int, loss: float, learning_rate: float, inputs: NDArray[Any]
    ) -> None:
        """Tell of a step; what it was shown stays here."""
        self._tell(("batch", (stage, step, loss, learning_rate)))

    def epoch(
        self,
        row: EpochRow,
        scores: NDArray[np.float32] | None = None,
        labels: NDArray[np.integer] | None = None,
    ) -> None:
        """Tell of a round."""
        self._tell(("epoch", (row, scores, labels)))


class SentCheckpoints(Checkpoints):
    """Checkpoints that go to the driver, who writes them where they belong."""

    def __init__(self, folder: Path, tell: Callable[[Told], None]) -> None:
        super().__init__(folder)
        self._tell = tell

    def save(self, progress: Progress, learner: Learner) -> None:
        """Send the state after some steps."""
        super().save(progress, learner)
        self._tell(("saved", (self.state.read_bytes(),)))
        self.state.unlink()  # whatever ends this process, it leaves nothing large


class Replay:
    """Does on the driver what the leader tells."""

    def __init__(self, checkpoints: Checkpoints, report: Reporter, log: Log) -> None:
        self._state, self._report, self._log = checkpoints.state, report, log
        self._bars = ExitStack()
        self._advance: Advance = lambda _: None
        self._add: Callable[[Sequence[str]], None] = lambda _: None

    def __call__(self, told: Told) -> None:
        """Do one thing."""
        name, values = told
        getattr(self, f"_{name}")(*values)

    def close(self) -> None:
        """End a bar that is still there."""
        self._bars.close()

    def _say(self, text: str) -> None:
        self._report.say(text)

    def _warn(self, text: str) -> None:
        self._report.warn(text)

    def _bar(self, label: str, total: int) -> None:
        bar: AbstractContextManager[Advance] = self._report.bar(label, total)
        self._advance = self._bars.enter_context(bar)

    def _advance_by(self, count: int) -> None:
        self._advance(count)

    def _end(self) -> None:
        self._bars.close()

    def _table(self, columns: Sequence[str]) -> None:
        self._add = self._report.table(columns)

    def _row(self, row: Sequence[str]) -> None:
        self._add(row)

    def _batch(self, stage: str, step: int, loss: float, learning_rate: float) -> None:
        self._log.batch(stage, step, loss, learning_rate, np.empty(0, np.float32))

    def _epoch(self, row: EpochRow, scores: Any, labels: Any) -> None:
        if scores is None:
            self._log.epoch(row)
        else:
            self._log.epoch(row, scores, labels)

    def _saved(self, content: bytes) -> None:
        with atomic_writer(self._state) as part:
            part.write_bytes(content)
