"""Guesses in int8, and in float32 where int8 is not sure."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.errors import BundleError
from retrain.infer.engine import Answer, Engine
from retrain.infer.litert import signature_runner
from retrain.metrics import margins, softmax

Array = NDArray[np.float32]


class Quantised:
    """The int8 backbone with its head in float32."""

    def __init__(self, path: Path, kernel: Array, bias: Array, threads: int) -> None:
        """Load the backbone.

        Args:
            path: LiteRT file, uint8 pixels to `features`.
            kernel: of the head, float32 [d, k], temperature inside.
            bias: float32 [k].
            threads: that share one inference.

        Raises:
            BundleError: the file is missing or damaged.
        """
        self._kernel, self._bias = kernel, bias
        self._run = signature_runner(path, threads)

    def features(self, pixels: Pixels) -> Array:
        """Return float32 [n, d] for uint8 [n, size, size, 3]."""
        return np.asarray(self._run(pixels=pixels)["features"])

    def logits(self, features: Array) -> Array:
        """Return float32 [n, k] for features [n, d]."""
        return np.asarray(features @ self._kernel + self._bias)


def read_head(path: Path) -> tuple[Array, Array]:
    """Return kernel [d, k] and bias [k] of the head of quantised features.

    Raises:
        BundleError: the file is missing or damaged.
    """
    try:
        with np.load(path) as arrays:
            return arrays["kernel"], arrays["bias"]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise BundleError(f"{path} cannot be read ({error}). Train again.") from error


class Cascade:
    """An Engine: int8 first, and float32 for the pictures whose margin is below a threshold."""

    def __init__(self, quantised: Quantised, threshold: float, exact: Callable[[], Engine]) -> None:
        """Put together.

        Args:
            quantised: the first look.
            threshold: on margins of logits; 0 for no second looks.
            exact: opens the engine of second looks, when the first of them comes.
        """
        self._quantised, self._threshold, self._open = quantised, threshold, exact

    @cached_property
    def _exact(self) -> Engine:
        return self._open()

    def run(self, pixels: Pixels) -> Answer:
        """Answer for uint8 [n, size, size, 3]."""
        features = self._quantised.features(pixels)
        logits = self._quantised.logits(features)
        probabilities = softmax(logits)
        again = np.flatnonzero(margins(logits) < self._threshold)
        if len(again):
            answer = self._exact.run(pixels[again])
            probabilities[again], features[again] = answer
        return Answer(probabilities, features)

    def warm_up(self, pixels: Pixels) -> Answer:
        """Answer by the second look, after the first was tried as well."""
        self.run(pixels)
        return self._exact.run(pixels)
