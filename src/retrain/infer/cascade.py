"""Guesses in int8, and in float32 where int8 is not sure."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.errors import BundleError
from retrain.infer.engine import Answer, Engine
from retrain.infer.litert import signature_runner
from retrain.metrics import margins, softmax

Array = NDArray[np.float32]


class QuantisedHead(NamedTuple):
    """What follows the int8 backbone, in float32.

    kernel: of the head on its features, [d, k], temperature inside. bias: [k].
    scale, offset: that make its features those of float32, on average, [d].
    """

    kernel: Array
    bias: Array
    scale: Array = np.ones(1, np.float32)
    offset: Array = np.zeros(1, np.float32)


class Quantised:
    """The int8 backbone with its head in float32."""

    def __init__(self, path: Path, head: QuantisedHead, threads: int) -> None:
        """Load the backbone.

        Args:
            path: LiteRT file, uint8 pixels to `features`.
            head: what follows it.
            threads: that share one inference.

        Raises:
            BundleError: the file is missing or damaged.
        """
        self._head = head
        self._run = signature_runner(path, threads)

    def features(self, pixels: Pixels) -> Array:
        """Return float32 [n, d] for uint8 [n, size, size, 3]."""
        return np.asarray(self._run(pixels=pixels)["features"])

    def logits(self, features: Array) -> Array:
        """Return float32 [n, k] for features [n, d]."""
        return np.asarray(features @ self._head.kernel + self._head.bias)

    def exact(self, features: Array) -> Array:
        """Return about what the float32 backbone's features are, [n, d], for int8's [n, d]."""
        return np.asarray(features * self._head.scale + self._head.offset)


def read_head(path: Path) -> QuantisedHead:
    """Return what follows the int8 backbone; older bundles do not correct features.

    Raises:
        BundleError: the file is missing or damaged.
    """
    try:
        with np.load(path) as arrays:
            kernel, bias = arrays["kernel"], arrays["bias"]
            if "scale" not in arrays:
                return QuantisedHead(kernel, bias)
            return QuantisedHead(kernel, bias, arrays["scale"], arrays["offset"])
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
        probabilities, features = softmax(logits), self._quantised.exact(features)
        again = np.flatnonzero(margins(logits) < self._threshold)
        if len(again):
            answer = self._exact.run(pixels[again])
            probabilities[again], features[again] = answer
        return Answer(probabilities, features)

    def warm_up(self, pixels: Pixels) -> Answer:
        """Answer by the second look, after the first was tried as well."""
        self.run(pixels)
        return self._exact.run(pixels)
