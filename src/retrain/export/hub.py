"""A folder that Keras loads from a model hub: `keras.saving.load_model("hf://USER/NAME")`."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.metrics import softmax


def export_hub(network: keras.Model, folder: Path) -> None:
    """Write `config.json`, `metadata.json` and `model.weights.h5`: uint8 pixels -> logits.

    Args:
        network: the trained model.
        folder: to write to.
    """
    network.save(folder, zipped=False)


def hub_runner(folder: Path, temperature: float) -> Callable[[Pixels], NDArray[np.float32]]:
    """Return what loads the folder as a stranger would, and gives probabilities of uint8 pixels."""
    network = keras.saving.load_model(folder, compile=False)
    return lambda pixels: softmax(network.predict_on_batch(pixels), temperature)
