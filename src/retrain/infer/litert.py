"""Runs LiteRT files on the CPU, `model.tflite` above all."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from retrain.data.images import Pixels
from retrain.errors import BundleError
from retrain.infer.engine import Answer


def signature_runner(path: Path, threads: int) -> Any:
    """Return the `serving_default` of a LiteRT file, to be called with named arrays.

    Raises:
        BundleError: it is missing or damaged.
    """
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        return interpreter.get_signature_runner("serving_default")
    except (ValueError, RuntimeError, OSError) as error:
        raise BundleError(f"{path} cannot be read ({error}). Train again.") from error


class LiteRT:
    """An Engine on a LiteRT file."""

    def __init__(self, path: Path, threads: int) -> None:
        """Load the model.

        Args:
            path: of the file.
            threads: that share one inference.

        Raises:
            BundleError: it is missing or damaged.
        """
        self._run = signature_runner(path, threads)

    def run(self, pixels: Pixels) -> Answer:
        """Answer for uint8 [n, size, size, 3]; a new n costs a re-allocation."""
        outputs = self._run(pixels=pixels)
        return Answer(np.asarray(outputs["probabilities"]), np.asarray(outputs["features"]))

    def warm_up(self, pixels: Pixels) -> Answer:
        """Answer; this one has no more to open."""
        return self.run(pixels)
