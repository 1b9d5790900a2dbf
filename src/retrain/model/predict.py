"""Runs a Keras model over pixels and picture files, never holding more than a batch of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from retrain.data.images import PixelRules
from retrain.data.stream import pixel_batches

BATCH = 32


class Forward:
    """A model's forward pass, compiled once for batches of any size.

    Keras' own `predict_on_batch` compiles again for the last, smaller batch, which costs seconds.
    """

    def __init__(self, model: keras.Model, constant: bool = False) -> None:
        """Compile a model.

        Args:
            model: the model, from pixels uint8 [n, size, size, 3], or activations, to float
                [n, ..., width].
            constant: whether its weights no longer change. TensorFlow can then fold BatchNorm into
                convolutions, which takes two seconds more to compile and a third less per picture
                on a CPU.
        """
        self.width: int = model.output_shape[-1]
        signature, call = fed(model)
        run = tf.function(lambda inputs: call(inputs, training=False), [signature])
        self._run = freeze_variables(run) if constant else run

    def __call__(self, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return the model's output, float32 [n, ..., width], for pixels or activations."""
        answer = self._run(tf.constant(inputs))
        return np.asarray(answer[0] if isinstance(answer, list) else answer, np.float32)


def fed(model: keras.Model) -> tuple[tf.TensorSpec, Callable[..., Any]]:
    """Return what a model takes, uint8 pixels or float32 activations, and how to call it so."""
    kind = model.inputs[0].dtype
    if kind == "uint8":
        return tf.TensorSpec(model.input_shape, tf.uint8), model

    def call(inputs: tf.Tensor, training: bool) -> Any:
        return model(tf.cast(inputs, kind), training=training)

    return tf.TensorSpec(model.input_shape, tf.float32), call


def freeze_variables(function: Any) -> Any:
    """Return the one trace of a `tf.function` with a signature, variables made constants.

    When called, it returns a flat answer: a list of tensors, or the only tensor.
    """
    return convert_variables_to_constants_v2(function.get_concrete_function())


def predict_logits(
    forward: Forward,
    paths: Sequence[Path],
    rules: PixelRules,
    advance: Callable[[int], None] = lambda _: None,
) -> NDArray[np.float32]:
    """Return the logits of n picture files, float32 [n, k].

    Args:
        forward: the forward pass of a model that ends in logits.
        paths: the picture files, all of them readable.
        rules: how pictures become the model's pixels.
        advance: hears the size of each batch.
    """
    logits = np.empty((len(paths), forward.width), np.float32)
    done = 0
    for pixels in pixel_batches(paths, rules, BATCH):
        logits[done : done + len(pixels)] = forward(pixels)
        done += len(pixels)
        advance(len(pixels))
    return logits
