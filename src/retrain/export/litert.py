"""LiteRT files, which run without TensorFlow."""

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import keras
import tensorflow as tf

from retrain.data.images import PixelRules, Pixels
from retrain.export.outputs import Outputs, pixel_spec


def export_litert(
    model: keras.Model,
    outputs: Outputs,
    rules: PixelRules,
    path: Path,
    samples: Iterable[Pixels] | None = None,
) -> None:
    """Write a LiteRT file by way of a SavedModel, which keeps the names.

    The variables are not frozen: from constants the converter would need more than twice the
    memory, gigabytes for a ResNet50.

    Args:
        model: the model whose variables `outputs` reads; all of them are saved, because a variable
            that is not saved makes the file answer NaN without an error.
        outputs: `classifier_outputs` or `feature_outputs`, not frozen.
        rules: the pixel rules, which decide the input size.
        path: the file to write.
        samples: real pictures, uint8 [size, size, 3] each, whose activations set the ranges of
            int8; None for float32.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".litert-") as folder:
        serve = tf.function(outputs, [pixel_spec(rules)])
        module = tf.Module()
        module.variables_read = [variable.value for variable in model.variables]
        tf.saved_model.save(module, folder, signatures={"serving_default": serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if samples is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: ({"pixels": one[None]} for one in samples)
        with warnings.catch_warnings():  # that its own interpreter will be another package's
            warnings.simplefilter("ignore", UserWarning)
            path.write_bytes(converter.convert())
