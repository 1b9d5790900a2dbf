"""Bottleneck features: each picture goes through the frozen backbone once, and is remembered.

The cache is one file per backbone, weights and pixel rules, made of equal records (content
sha256, checksum, values) that are appended batch by batch: a killed run keeps what it had, and a
record that does not match its checksum, or holds what is no number, is noticed and computed again.
"""

import hashlib
import time
import zlib
from collections.abc import Sequence
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
    """Return the sha256 of a model's weights, hex; random weights have one too."""
    digest = hashlib.sha256()
    for values in model.get_weights():
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def cache_file(folder: Path, model: keras.Model, rules: PixelRules) -> Path:
    """Return where the features of this backbone, these weights and pixel rules are kept."""
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
        pictures: in the order of the rows wanted.
        model: uint8 pixels to features, frozen; its weights are part of the cache's key.
        forward: of this model.
        rules: how pictures become its pixels.
        folder: of the caches; always safe to delete.
        report: hears the estimate and shows the progress.

    Returns:
        float32 [n, d].
    """
    path = cache_file(folder, model, rules)
    record = np.dtype(
        [("sha256", "V32"), ("crc", "<u4"), ("values", "<f4", model.output_shape[-1])]
    )
    with machine_errors(folder):
        folder.mkdir(exist_ok=True)
        known, damaged = _read(path, record)
        if damaged:
            report.say(
                f"The feature cache was damaged: {counted(damaged, 'record')} to compute anew."
            )
            _rewrite(path, known)
    features = np.empty((len(pictures), model.output_shape[-1]), np.float32)
    rows: dict[bytes, list[int]] = {}
    for row, picture in enumerate(pictures):
        rows.setdefault(bytes.fromhex(picture.sha256), []).append(row)
    for entry in known:
        features[rows.pop(entry["sha256"].tobytes(), [])] = entry["values"]
    if rows:
        _compute(pictures, rows, features, forward, rules, path, record, report)
    else:
        report.say(f"Features of {counted(len(pictures), 'picture')} were cached.")
    return features


def _compute(
    pictures: Sequence[Picture],
    rows: dict[bytes, list[int]],
    features: Features,
    forward: Forward,
    rules: PixelRules,
    path: Path,
    record: np.dtype[Any],
    report: Reporter,
) -> None:
    """Fill the rows that the cache lacks, appending each batch to it."""
    digests = list(rows)
    estimate = seconds_per_picture(forward, rules.size) * len(digests)
    report.say(
        f"Features: {counted(len(digests), 'picture')} through the backbone once, "
        f"about {duration(estimate)}."
    )
    paths = [pictures[rows[digest][0]].path for digest in digests]
    done = 0
    with machine_errors(path), path.open("ab") as file, report.bar("features", len(paths)) as step:
        for pixels in pixel_batches(paths, rules, BATCH):
            values = forward(pixels)
            if not np.isfinite(values).all():
                raise WeightsError(
                    "The backbone must turn pictures into numbers. Received: values that are not "
                    "finite. Its weights are damaged; delete the file or name another."
                )
            entries = np.empty(len(values), record)
            for i, digest in enumerate(digests[done : done + len(values)]):
                features[rows[digest]] = values[i]
                entries[i] = (digest, zlib.crc32(values[i].tobytes()), values[i])
            file.write(entries.tobytes())
            file.flush()
            done += len(values)
            step(len(values))


def _read(path: Path, record: np.dtype[Any]) -> tuple[NDArray[np.void], int]:
    """Return the sound records of a cache file and the number of damaged ones."""
    if not path.exists() or path.stat().st_size < record.itemsize:
        return np.empty(0, record), int(path.exists() and path.stat().st_size > 0)
    whole, torn = divmod(path.stat().st_size, record.itemsize)
    entries = np.memmap(path, record, mode="r", shape=whole)
    sound = np.array([zlib.crc32(e["values"].tobytes()) == e["crc"] for e in entries])
    sound &= np.isfinite(entries["values"]).all(axis=1)
    if sound.all():
        return entries, int(torn > 0)
    return entries[sound], int((~sound).sum()) + int(torn > 0)


def _rewrite(path: Path, entries: NDArray[np.void]) -> None:
    with atomic_writer(path) as part:
        part.write_bytes(entries.tobytes())
