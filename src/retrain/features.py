"""Bottleneck features: each picture goes through the frozen backbone once, and is remembered.

The cache is one file per backbone, weights and pixel rules; what is damaged is computed again.
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import keras
import numpy as np

from retrain.data.feature_cache import SUFFIX, FeatureCache, Features
from retrain.data.images import PixelRules
from retrain.data.records import Picture
from retrain.data.stream import batched, pixel_batches
from retrain.errors import WeightsError
from retrain.files import machine_errors
from retrain.model.predict import BATCH, Forward
from retrain.progress import Reporter, counted, duration


class Extractor(Protocol):
    """What computes features in place of this machine."""

    def compute(
        self, missing: Mapping[bytes, Path], model: keras.Model, rules: PixelRules, report: Reporter
    ) -> Iterator[tuple[bytes, Features]]:
        """Yield the features [d] of pictures, by the sha256 of their contents, in order.

        Args:
            missing: the path of each picture, by the sha256 of its content.
            model: the backbone, uint8 pixels to features.
            rules: how pictures become its pixels.
            report: hears of machines that fail.
        """


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
    extractor: Extractor | None = None,
) -> Features:
    """Return the features of all pictures, computing only those that the cache lacks.

    Args:
        pictures: the n pictures, in the order of the rows wanted.
        model: the frozen backbone, uint8 pixels to features; its weights are part of the key.
        forward: the compiled forward pass of this model.
        rules: how pictures become the model's pixels.
        folder: the folder of all caches, which is always safe to delete.
        report: hears the estimate and shows the progress.
        extractor: what computes them; None for this machine.

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
    if not missing:
        return features
    if extractor is None:
        computed = _computed_here(missing, forward, rules, report)
    else:
        computed = extractor.compute(missing, model, rules, report)
    with cache.appending() as append, report.bar("features", len(missing)) as advance:
        for some in batched(computed, BATCH):
            if not np.isfinite([values for _, values in some]).all():
                raise WeightsError(
                    "The backbone must turn pictures into numbers. Received: values that are not "
                    "finite, so its weights are damaged. Delete their file, or name another.",
                    setting="weights",
                )
            append(some)
            for digest, values in some:
                features[rows[digest]] = values
            advance(len(some))
    return features


def _computed_here(
    missing: Mapping[bytes, Path], forward: Forward, rules: PixelRules, report: Reporter
) -> Iterator[tuple[bytes, Features]]:
    """Yield what `Extractor.compute` does, by this machine."""
    estimate = seconds_per_picture(forward, rules.size) * len(missing)
    report.say(
        f"Features: computing those of {counted(len(missing), 'picture')} in one pass through the "
        f"backbone, about {duration(estimate)}."
    )
    digests = iter(missing)
    for pixels in pixel_batches([*missing.values()], rules, BATCH, [*missing]):
        for values in forward(pixels):
            yield next(digests), values
