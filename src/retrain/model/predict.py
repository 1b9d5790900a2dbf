"""Runs a Keras model over pixels and picture files, never holding more than a batch of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from retrain.data.images import PixelRules, Pixels
from retrain.data.stream import pixel_batches

BATCH = 32


class Forward:
    """A model's forward pass, compiled once for batches of any size.

    Keras' own `predict_on_batch` compiles anew for the last, smaller batch, which costs seconds.
    """

    def __init__(self, model: keras.Model) -> None:
        self.width: int = model.output_shape[-1]
        signature = [tf.TensorSpec(model.input_shape, tf.uint8)]
        self._run = tf.function(lambda pixels: model(pixels, training=False), signature)

    def __call__(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the model's output, float32 [n, width], for uint8 [n, size, size, 3]."""
        return np.asarray(self._run(pixels), np.float32)


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Return probabilities float32 [n, k] of logits [n, k]."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def predict_probabilities(
    forward: Forward,
    paths: Sequence[Path],
    rules: PixelRules,
    advance: Callable[[int], None] = lambda _: None,
) -> NDArray[np.float32]:
    """Return float32 [n, k] for a model that ends in logits; `advance` hears each batch's size."""
    probabilities = np.empty((len(paths), forward.width), np.float32)
    done = 0
    for pixels in pixel_batches(paths, rules, BATCH):
        probabilities[done : done + len(pixels)] = softmax(forward(pixels))
        done += len(pixels)
        advance(len(pixels))
    return probabilities
