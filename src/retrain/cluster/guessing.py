"""Guesses by a model on all nodes of a cluster: the same as on one machine, in the same order."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrain.cluster.connect import Cluster
from retrain.cluster.pool import CARRIED, DIED, Pool, Sent
from retrain.cluster.versions import Node, this_node
from retrain.config import GuessPrecision
from retrain.data.images import BadPicture, read_bytes
from retrain.data.stream import batched, cores, ordered
from retrain.infer.choice import WORTH_A_GPU
from retrain.infer.familiar import read_reference
from retrain.infer.guess import Guess
from retrain.infer.model import Model
from retrain.infer.names import own_suffix
from retrain.infer.stamp import Stamp, stamp_of
from retrain.progress import Reporter
from retrain.run import Run

CHUNK = 16  # pictures that travel together


class Found(NamedTuple):
    """What a worker says of a picture: the fields of a Guess that it knows."""

    probabilities: NDArray[np.float32] | None
    familiar: float | None
    unlike: bool
    error: str | None
    extension: str


@dataclass(frozen=True)
class _Wanted:
    """A picture to be guessed, or a guess that was made before; stamp: of the file."""

    source: Path | Guess
    stamp: Stamp | None = None


class Worker:
    """The actor: a model that guesses alone, on one core or one GPU."""

    def __init__(self, files: Mapping[str, bytes], precision: GuessPrecision, gpu: bool) -> None:
        """Remember; `ready` opens the model, so that what is wrong has a name.

        Args:
            files: of the bundle, by their paths in it.
            precision: as for Model.
            gpu: whether this worker has one.
        """
        self._files, self._precision, self._gpu = files, precision, gpu

    def ready(self) -> Node:
        """Open the model, from a folder that is gone afterwards, however this process ends."""
        with tempfile.TemporaryDirectory(prefix="retrain-") as place:
            for name, content in self._files.items():
                path = Path(place, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            many = WORTH_A_GPU if self._gpu else None
            threads = cores() if self._gpu else 1
            self._model = Model(
                Run(Path(place)), precision=self._precision, threads=threads, pictures=many
            )
            self._model.warm_up()
        self._files = {}
        return this_node()

    def of_files(self, files: Sequence[tuple[str, Stamp | None]]) -> list[Found | None]:
        """Guess files; None for each that is not here as the driver sees it.

        Args:
            files: path and stamp of each.
        """
        contents = [_content(Path(path), stamp) for path, stamp in files]
        found = iter(self.of_contents([one for one in contents if one is not None]))
        return [None if content is None else next(found) for content in contents]

    def of_contents(self, contents: Sequence[bytes]) -> list[Found | None]:
        """Guess the contents of picture files."""
        return [
            Found(g.probabilities, g.familiar, g.unlike, g.error, g.extension)
            for g in self._model.guess_all(contents)
        ]


def _content(path: Path, stamp: Stamp | None) -> bytes | None:
    now = stamp_of(path)
    if now is None or not now.same(stamp):
        return None
    try:
        return read_bytes(path)
    except BadPicture:  # which the driver, who may see more of it, will tell
        return None


class ClusterModel:
    """Guesses on a cluster what `retrain.infer.model.Model` does on one machine.

    run: the model's run.
    """

    def __init__(
        self, cluster: Cluster, run: Run, precision: GuessPrecision, report: Reporter
    ) -> None:
        """Read the bundle's models, which travel to the workers.

        Args:
            cluster: that this process has joined.
            run: a finished run or a bundle.
            precision: as for Model.
            report: hears of workers that die.

        Raises:
            BundleError: a file of the bundle cannot be read, or there is no int8 model.
        """
        self.run, self._categories = run, run.manifest.labels
        Model(run, precision=precision, threads=1, pictures=1)  # what is wrong shows here
        self._reference = read_reference(run.reference)
        self._cluster, self._precision, self._report = cluster, precision, report

    @property
    def least_familiar(self) -> float | None:
        """Below which a picture is unlike anything learned from, 0..1; None where nobody knows."""
        return self._reference.limit if self._reference else None

    def guess_all(self, pictures: Iterable[Path | Guess]) -> Iterator[Guess]:
        """Yield a guess for each picture, in order; of one that cannot be read it holds the reason.

        Args:
            pictures: paths; a guess that was made before is passed through.

        Raises:
            MachineError: the cluster fails.
        """
        handler = _Guessing(self.run, self._precision, self._cluster)
        pool = Pool(self._cluster, handler, self._report)
        wanted = (
            _Wanted(one) if isinstance(one, Guess) else _Wanted(one, stamp_of(one))
            for one in pictures
        )
        for one, result in pool.results(batched(wanted, CHUNK)):
            yield one.source if isinstance(one.source, Guess) else self._guess(one, result)

    def _guess(self, one: _Wanted, result: Any) -> Guess:
        assert isinstance(one.source, Path)
        guess = Guess(one.source, self._categories, stamp=one.stamp)
        if result is DIED:
            return replace(guess, error="each worker of the cluster that was given it died")
        if isinstance(result, str):
            return replace(guess, error=result)
        named = result._replace(extension=own_suffix(one.source.name) or result.extension)
        return replace(guess, **named._asdict())


class _Guessing:
    """The Handler of guesses."""

    def __init__(self, run: Run, precision: GuessPrecision, cluster: Cluster) -> None:
        import ray

        self._files = ray.put(_bundle(run, gpu=cluster.total("GPU") > 0))
        self._precision = precision

    def open(self, gpu: bool) -> Any:
        import ray

        needs = {"num_gpus": 1} if gpu else {"num_cpus": 1}
        return ray.remote(Worker).options(**needs).remote(self._files, self._precision, gpu)

    def send(self, worker: Any, items: Sequence[_Wanted], carried: bool) -> Sent:
        known: dict[int, Any] = {
            i: None for i, one in enumerate(items) if isinstance(one.source, Guess)
        }
        those = [i for i in range(len(items)) if i not in known]
        if not those:
            return Sent(None, [], known)
        if not carried:
            files = [(str(items[i].source), items[i].stamp) for i in those]
            return Sent(worker.of_files.remote(files), those, known)
        contents, size = dict[int, bytes](), 0
        for i, content in zip(those, ordered(lambda i: _read(items[i]), those, 8), strict=False):
            if isinstance(content, str):
                known[i] = content
                continue
            contents[i], size = content, size + len(content)
            if size > CARRIED:
                break
        if not contents:
            return Sent(None, [], known)
        return Sent(worker.of_contents.remote([*contents.values()]), [*contents], known)


def _read(one: _Wanted) -> bytes | str:
    """Return a file's content, or why there is none."""
    assert isinstance(one.source, Path)
    try:
        return read_bytes(one.source)
    except BadPicture as error:
        return str(error)


def _bundle(run: Run, gpu: bool) -> dict[str, bytes]:
    """Return the files of a bundle that guesses need, by their paths in it."""
    own = [run.manifest_file, run.labels, run.litert, run.int8, run.int8_head, run.reference]
    if gpu and run.saved_model.is_dir():
        own += [path for path in run.saved_model.rglob("*") if path.is_file()]
    return {str(path.relative_to(run.folder)): path.read_bytes() for path in own if path.is_file()}
