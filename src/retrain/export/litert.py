"""LiteRT files, which run without TensorFlow."""

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from retrain.data.images import PixelRules, Pixels
from retrain.export.frozen import Outputs, pixel_spec


def export_litert(
    outputs: Outputs, rules: PixelRules, path: Path, samples: Iterable[Pixels] | None = None
) -> None:
    """Write a LiteRT file, by way of a SavedModel, which keeps the names.

    Args:
        outputs: of `freeze` or `freeze_features`.
        rules: decide the input size.
        path: to write to.
        samples: uint8 [size, size, 3] each, real pictures whose activations set the ranges of
            int8, weights per channel; None for float32.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".litert-") as folder:
        serve = tf.function(outputs, [pixel_spec(rules)])
        tf.saved_model.save(tf.Module(), folder, signatures={"serving_default": serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if samples is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: ({"pixels": one[None]} for one in samples)
        with warnings.catch_warnings():  # that its own interpreter will be another package's
            warnings.simplefilter("ignore", UserWarning)
            path.write_bytes(converter.convert())
