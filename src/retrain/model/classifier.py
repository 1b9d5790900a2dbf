"""A trained network on the Keras side, from which exports and heat maps are made."""

from dataclasses import dataclass, replace
from functools import cached_property

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.data.images import PixelRules, Pixels
from retrain.errors import BundleError, first_line
from retrain.metrics import softmax
from retrain.model.build import LOGITS
from retrain.model.predict import Forward
from retrain.run import Run

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Classifier:
    """A network with everything that is needed to read its answers.

    network: a flat float32 model from uint8 pixels [n, size, size, 3] to logits [n, k].
    rules: how pictures become its pixels.
    categories: the names of its outputs, in their order.
    temperature: logits are divided by it before the softmax; 1.0 before calibration.
    """

    network: keras.Model
    rules: PixelRules
    categories: tuple[str, ...]
    temperature: float = 1.0

    @cached_property
    def forward(self) -> Forward:
        """The forward pass, uint8 pixels to logits, compiled at its first use.

        From then on the weights must not change.
        """
        return Forward(self.network, constant=True)

    def at_temperature(self, temperature: float) -> "Classifier":
        """Return the same network at another temperature; what was compiled is kept."""
        other = replace(self, temperature=temperature)
        if "forward" in vars(self):
            vars(other)["forward"] = self.forward
        return other

    @property
    def head(self) -> tuple[Array, Array]:
        """The kernel [d, k] and the bias [k] of the last layer, which gives the logits."""
        kernel, bias = self.network.get_layer(LOGITS).get_weights()
        return kernel, bias

    def probabilities(self, pixels: Pixels) -> Array:
        """Return calibrated probabilities, float32 [n, k], of pixels, uint8 [n, size, size, 3]."""
        return softmax(self.forward(pixels), self.temperature)


def load_classifier(run: Run) -> Classifier:
    """Return a run's Keras model.

    Raises:
        BundleError: the file is missing, damaged, or needs a newer Keras.
    """
    try:
        network = keras.models.load_model(run.keras, compile=False)
    except Exception as error:  # Keras, h5py and zipfile raise many kinds
        raise BundleError(
            f"{run.keras} cannot be read ({first_line(error)}). Train again."
        ) from error
    manifest = run.manifest
    return Classifier(network, run.rules, manifest.labels, manifest.temperature)
