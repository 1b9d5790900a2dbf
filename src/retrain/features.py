"""Bottleneck features: each picture goes through the frozen backbone once, and is remembered.

The cache is one file per backbone, weights and pixel rules; what is damaged is computed again.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from retrain.data.feature_cache import SUFFIX, FeatureCache, Features
from retrain.data.images import PixelRules
from retrain.data.records import Picture
from retrain.data.stream import pixel_batches
from retrain.errors import WeightsError
from retrain.files import machine_errors
from retrain.model.predict import BATCH, Forward
from retrain.progress import Reporter, counted, duration


def weights_digest(model: keras.Model) -> str:
    """Return the sha256 of a model's weights in hexadecimal; random weights have one, too."""
    digest = hashlib.sha256()
    for values in model.get_weights():
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def cache_file(folder: Path, model: keras.Model, rules: PixelRules) -> Path:
    """Return the file that keeps the features of this backbone, weights and pixel rules."""
    return folder / f"{model.name}-{rules}-{weights_digest(model)[:16]}{SUFFIX}"


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
    cache = FeatureCache(cache_file(folder, model, rules), width)
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
    cache: FeatureCache,
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
