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
    """Write a LiteRT file, by way of a SavedModel, which keeps the names.

    From constants the converter would need three times the memory, gigabytes for a ResNet50.

    Args:
        model: whose variables `outputs` reads. One that is not saved answers NaN without an error.
        outputs: `classifier_outputs` or `feature_outputs`, not frozen.
        rules: decide the input size.
        path: to write to.
        samples: uint8 [size, size, 3] each, real pictures whose activations set the ranges of
            int8, weights per channel; None for float32.
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
