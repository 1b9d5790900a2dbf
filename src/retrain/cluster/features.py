"""Bottleneck features, computed on all nodes of a cluster."""

import hashlib
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain.cluster.connect import Cluster
from retrain.cluster.pool import CARRIED, DIED, Pool, Sent
from retrain.cluster.versions import Node, this_node
from retrain.data.feature_cache import Features
from retrain.data.images import BadPicture, PixelRules, read_bytes, read_pixels
from retrain.data.stream import batched, ordered, read_unchanged
from retrain.errors import DataError, MachineError
from retrain.progress import Reporter, counted

if TYPE_CHECKING:
    import keras

CHUNK = 32  # pictures: a batch of the backbone, as on one machine

_Missing = tuple[bytes, Path]  # sha256 of the content, and where the driver sees it


class Worker:
    """The actor: a backbone on one core or one GPU."""

    def __init__(self, model: bytes, rules: PixelRules) -> None:
        """Remember; `ready` opens the backbone.

        Args:
            model: pickled, uint8 pixels to features.
            rules: how pictures become its pixels.
        """
        self._model, self._rules = model, rules

    def ready(self) -> Node:
        """Open the backbone."""
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as on the driver
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow as tf

        from retrain.model.predict import Forward

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self._forward = Forward(pickle.loads(self._model), constant=True)
        self._model = b""
        return this_node(training=True)

    def of_files(self, files: Sequence[tuple[bytes, str]]) -> list[Any]:
        """Return the features of files, float32 [d] each; None for each that is not here.

        Args:
            files: the sha256 of the content, and the path, of each.
        """
        contents = [_content(sha256, Path(path)) for sha256, path in files]
        found = iter(self.of_contents([one for one in contents if one is not None]))
        return [None if content is None else next(found) for content in contents]

    def of_contents(self, contents: Sequence[bytes]) -> list[Any]:
        """Return the features of contents, float32 [d] each, or why one cannot be decoded."""
        import numpy as np

        decoded = [*ordered(self._pixels, contents, len(contents) + 1, 1)]
        readable = [one for one in decoded if not isinstance(one, str)]
        values = iter(self._forward(np.stack(readable)) if readable else ())
        return [one if isinstance(one, str) else next(values) for one in decoded]

    def _pixels(self, content: bytes) -> Any:
        try:
            return read_pixels(content, self._rules)
        except BadPicture as error:
            return str(error)


def _content(sha256: bytes, path: Path) -> bytes | None:
    try:
        content = read_bytes(path)
    except BadPicture:
        return None
    return content if hashlib.sha256(content).digest() == sha256 else None


class ClusterFeatures:
    """Computes features on a cluster; the `Extractor` of `retrain.features`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def compute(
        self,
        missing: Mapping[bytes, Path],
        model: "keras.Model",
        rules: PixelRules,
        report: Reporter,
    ) -> Iterator[tuple[bytes, Features]]:
        """Yield the features [d] of pictures, by the sha256 of their contents, in order.

        Raises:
            DataError: a picture changed meanwhile. MachineError: the cluster fails.
        """
        report.say(
            f"Features: computing those of {counted(len(missing), 'picture')} on the cluster."
        )
        pool = Pool(self._cluster, _Extraction(model, rules), report)
        for (sha256, path), values in pool.results(batched(missing.items(), CHUNK)):
            if isinstance(values, str):
                raise DataError(
                    f"A picture changed while it was in use: {path}: {values}. Start again."
                )
            if values is DIED:
                raise MachineError(
                    f"The workers of the cluster must outlive a picture. Received: {path}, at "
                    "which several died. Look whether they have enough memory."
                )
            yield sha256, values


class _Extraction:
    """The Handler of features."""

    def __init__(self, model: "keras.Model", rules: PixelRules) -> None:
        import ray

        self._model, self._rules = ray.put(pickle.dumps(model)), rules

    def open(self, gpu: bool) -> Any:
        import ray

        needs = {"num_gpus": 1} if gpu else {"num_cpus": 1}
        return ray.remote(Worker).options(**needs).remote(self._model, self._rules)

    def send(self, worker: Any, items: Sequence[_Missing], carried: bool) -> Sent:
        places = range(len(items))
        if not carried:
            files = [(sha256, str(path)) for sha256, path in items]
            return Sent(worker.of_files.remote(files), places, {})
        contents, size = [], 0
        for content in ordered(
            lambda i: read_unchanged(items[i][1], bytes, items[i][0]), places, 8
        ):
            contents.append(content)
            size += len(content)
            if size > CARRIED:
                break
        return Sent(worker.of_contents.remote(contents), places[: len(contents)], {})
