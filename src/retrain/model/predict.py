"""Runs a Keras model over picture files, never holding more than a batch of pixels."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.data.images import PixelRules
from retrain.data.stream import pixel_batches

BATCH = 32


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Return probabilities float32 [n, k] of logits [n, k]."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def predict_probabilities(
    model: keras.Model,
    paths: Sequence[Path],
    rules: PixelRules,
    advance: Callable[[int], None] = lambda _: None,
) -> NDArray[np.float32]:
    """Return float32 [n, k] for a model that ends in logits; `advance` hears each batch's size."""
    probabilities = np.empty((len(paths), model.output_shape[-1]), np.float32)
    done = 0
    for pixels in pixel_batches(paths, rules, BATCH):
        logits = np.asarray(model.predict_on_batch(pixels))
        probabilities[done : done + len(pixels)] = softmax(logits)
        done += len(pixels)
        advance(len(pixels))
    return probabilities
