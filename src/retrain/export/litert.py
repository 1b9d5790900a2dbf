"""The LiteRT model: uint8 pixels to `probabilities` and `features`, without TensorFlow."""

import tempfile
from pathlib import Path

import tensorflow as tf

from retrain.data.images import PixelRules
from retrain.export.frozen import Outputs, pixel_spec


def export_litert(outputs: Outputs, rules: PixelRules, path: Path) -> None:
    """Write the float32 LiteRT model, by way of a SavedModel, which keeps the names.

    Args:
        outputs: of `freeze`.
        rules: decide the input size.
        path: to write to.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".litert-") as folder:
        serve = tf.function(outputs, [pixel_spec(rules)])
        tf.saved_model.save(tf.Module(), folder, signatures={"serving_default": serve})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        path.write_bytes(converter.convert())
