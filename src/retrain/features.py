"""Bottleneck features: each picture goes through the frozen backbone once, and is remembered.

The cache is one file per backbone, weights and pixel rules. It is made of records of equal length
(content sha256, checksum, values) that are appended batch by batch, so that a killed run keeps what
it had. A record that does not match its checksum, or holds values that are not finite, is noticed
and computed again.
"""

import hashlib
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.data.images import PixelRules
from retrain.data.records import Picture
from retrain.data.stream import pixel_batches
from retrain.errors import WeightsError
from retrain.files import atomic_writer, machine_errors
from retrain.model.predict import BATCH, Forward
from retrain.progress import Reporter, counted, duration

Features = NDArray[np.float32]


def weights_digest(model: keras.Model) -> str:
    """Return the sha256 of a model's weights in hexadecimal; random weights have one, too."""
    digest = hashlib.sha256()
    for values in model.get_weights():
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def cache_file(folder: Path, model: keras.Model, rules: PixelRules) -> Path:
    """Return the file that keeps the features of this backbone, weights and pixel rules."""
    return folder / f"{model.name}-{rules}-{weights_digest(model)[:16]}.features"


def seconds_per_picture(forward: Forward, size: int) -> float:
    """Measure one warm forward pass on this machine, in seconds per picture."""
    blank = np.zeros((BATCH, size, size, 3), np.uint8)
    forward(blank[:1])
    start = time.perf_counter()
    forward(blank)
    return (time.perf_counter() - start) / BATCH


def bottlenecks(
    pictures: Sequence[Picture],
    model: keras.Model,
    forward: Forward,
    rules: PixelRules,
    folder: Path,
    report: Reporter,
) -> Features:
    """Return the features of all pictures, computing only those that the cache lacks.

    Args:
        pictures: the n pictures, in the order of the rows wanted.
        model: the frozen backbone, uint8 pixels to features; its weights are part of the key.
        forward: the compiled forward pass of this model.
        rules: how pictures become the model's pixels.
        folder: the folder of all caches, which is always safe to delete.
        report: hears the estimate and shows the progress.

    Returns:
        The features, float32 [n, d].

    Raises:
        WeightsError: the backbone's answers are not finite.
        MachineError: the cache cannot be written.
    """
    width = model.output_shape[-1]
    cache = _Cache(cache_file(folder, model, rules), _record(width))
    with machine_errors(folder):
        folder.mkdir(exist_ok=True)
        known, damaged = cache.read()
        if damaged:
            report.say(
                f"The feature cache was damaged; {counted(damaged, 'record')} are computed again."
            )
            cache.rewrite(known)
    features = np.empty((len(pictures), width), np.float32)
    rows: dict[bytes, list[int]] = {}
    for row, picture in enumerate(pictures):
        rows.setdefault(bytes.fromhex(picture.sha256), []).append(row)
    for entry in known:
        features[rows.pop(entry["sha256"].tobytes(), [])] = entry["values"]
    if not rows:
        report.say(f"The features of {counted(len(pictures), 'picture')} were cached.")
    missing = {digest: pictures[own[0]].path for digest, own in rows.items()}
    for digest, values in _computed(missing, forward, rules, cache, report):
        features[rows[digest]] = values
    return features


def _computed(
    missing: Mapping[bytes, Path],
    forward: Forward,
    rules: PixelRules,
    cache: "_Cache",
    report: Reporter,
) -> Iterator[tuple[bytes, Features]]:
    """Yield the features [d] of pictures that the cache lacks, appending each batch to it.

    Args:
        missing: the path of each picture, by the sha256 of its content.
        forward: the compiled forward pass of the backbone.
        rules: how pictures become the backbone's pixels.
        cache: the cache to append to.
        report: hears the estimate and shows the progress.
    """
    if not missing:
        return
    estimate = seconds_per_picture(forward, rules.size) * len(missing)
    report.say(
        f"Features: computing those of {counted(len(missing), 'picture')} in one pass through the "
        f"backbone, about {duration(estimate)}."
    )
    digests = iter(missing)
    with cache.appending() as append, report.bar("features", len(missing)) as advance:
        for pixels in pixel_batches([*missing.values()], rules, BATCH):
            values = forward(pixels)
            if not np.isfinite(values).all():
                raise WeightsError(
                    "The backbone must turn pictures into numbers. Received: values that are not "
                    "finite, so its weights are damaged. Delete their file, or name another.",
                    setting="weights",
                )
            batch = [(digest, one) for one, digest in zip(values, digests, strict=False)]
            append(batch)
            yield from batch
            advance(len(values))


def _record(width: int) -> np.dtype[Any]:
    return np.dtype([("sha256", "V32"), ("crc", "<u4"), ("values", "<f4", width)])


@dataclass(frozen=True)
class _Cache:
    """The cache of one backbone, weights and pixel rules.

    path: the file.
    record: the layout of one of its records.
    """

    path: Path
    record: np.dtype[Any]

    def read(self) -> tuple[NDArray[np.void], int]:
        """Return the sound records and the number of damaged ones."""
        size = self.path.stat().st_size if self.path.exists() else 0
        whole, torn = divmod(size, self.record.itemsize)
        if whole == 0:
            return np.empty(0, self.record), int(torn > 0)
        entries = np.memmap(self.path, self.record, mode="r", shape=whole)
        sound = np.array([zlib.crc32(e["values"].tobytes()) == e["crc"] for e in entries])
        sound &= np.isfinite(entries["values"]).all(axis=1)
        if sound.all():
            return entries, int(torn > 0)
        return entries[sound], int((~sound).sum()) + int(torn > 0)

    def rewrite(self, entries: NDArray[np.void]) -> None:
        """Replace the file by one that holds these records alone."""
        with atomic_writer(self.path) as part:
            part.write_bytes(entries.tobytes())

    @contextmanager
    def appending(self) -> Iterator[Callable[[Sequence[tuple[bytes, Features]]], None]]:
        """Open the file; the value entered appends features [d] with their sha256."""
        with machine_errors(self.path), self.path.open("ab") as file:

            def append(batch: Sequence[tuple[bytes, Features]]) -> None:
                entries = np.empty(len(batch), self.record)
                for i, (digest, values) in enumerate(batch):
                    entries[i] = (digest, zlib.crc32(values.tobytes()), values)
                file.write(entries.tobytes())
                file.flush()

            yield append
