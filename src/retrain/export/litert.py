"""The LiteRT model: uint8 pixels to `probabilities` and `features`, without TensorFlow."""

import tempfile
from pathlib import Path

import keras
import tensorflow as tf

from retrain.data.images import PixelRules
from retrain.export.saved_model import pixel_spec, with_features


def export_litert(model: keras.Model, rules: PixelRules, temperature: float, path: Path) -> None:
    """Write the float32 LiteRT model.

    It goes through a SavedModel with frozen variables: converting concrete functions can leave
    variable reads in the file, which then returns NaN without an error.

    Args:
        model: float32, uint8 pixels to logits.
        rules: decide the input size.
        temperature: logits are divided by it.
        path: to write to.
    """
    both = with_features(model, temperature)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".litert-") as folder:
        archive = keras.export.ExportArchive()
        archive.track(both)
        archive.add_endpoint("serving_default", both, [pixel_spec(rules)])
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        path.write_bytes(converter.convert())
