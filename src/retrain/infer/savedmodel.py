"""Runs the SavedModel, through the signatures that any TensorFlow program would use."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.errors import BundleError, first_line
from retrain.infer.engine import Answer


def sees_gpu() -> bool:
    """Tell whether TensorFlow can use a GPU; its CPU build cannot."""
    return bool(tf.config.list_physical_devices("GPU"))


class SavedModel:
    """An Engine on a SavedModel folder."""

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        """Load the model.

        Raises:
            BundleError: it is missing or damaged.
        """
        try:
            self._signatures = tf.saved_model.load(str(folder)).signatures
        except Exception as error:  # TensorFlow raises many kinds for a file that it cannot read
            raise BundleError(
                f"{folder} cannot be read ({first_line(error)}). Train again."
            ) from error
        pixels, features = self._signatures["pixels"], self._signatures["features"]
        # In one graph TensorFlow finds what the two have in common, and computes it once.
        self._both = tf.function(
            lambda batch: {**pixels(pixels=batch), **features(pixels=batch)},
            [pixels.structured_input_signature[1]["pixels"]],
        )
        self._labels = [label.encode() for label in labels]

    def run(self, pixels: Pixels) -> Answer:
        """Answer for uint8 [n, size, size, 3]."""
        answer = self._both(tf.constant(pixels))
        return Answer(answer["probabilities"].numpy(), answer["features"].numpy())

    def warm_up(self, pixels: Pixels) -> Answer:
        """Answer; this one has no more to open."""
        return self.run(pixels)

    def probabilities(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return float32 [n, k] in label order for uint8 [n, size, size, 3]."""
        answer = self._signatures["pixels"](pixels=tf.constant(pixels))
        return np.asarray(answer["probabilities"])

    def run_files(self, contents: Sequence[bytes]) -> NDArray[np.float32]:
        """Return probabilities float32 [n, k] in label order for whole picture files."""
        answer = self._signatures["serving_default"](image_bytes=tf.constant(list(contents)))
        classes, scores = answer["classes"].numpy(), answer["scores"].numpy()
        by_label = [dict(zip(*row, strict=True)) for row in zip(classes, scores, strict=True)]
        return np.array([[row[label] for label in self._labels] for row in by_label], np.float32)
