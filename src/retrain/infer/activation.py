"""Class activation maps from a LiteRT file, without TensorFlow.

Where a network ends in an average over the last feature maps and a linear head, the logit of a
category is the average over all places of what the head makes of the maps there (Zhou et al. 2016,
"Learning Deep Features for Discriminative Localization"). That share of each place is the heat map,
and for such networks it is what Grad-CAM gives.
"""

import threading
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from PIL import Image

from retrain.data.images import Pixels

Array = NDArray[np.float32]
_TOLERANCE = 1e-3  # of features that are averages of what was taken for the last maps


class ClassActivation:
    """Says where in a picture a category is seen; for one caller at a time, others wait."""

    def __init__(self, interpreter: Interpreter, maps: int, kernel: Array) -> None:
        """Put together; `open_activation` finds what is needed.

        Args:
            interpreter: that keeps all tensors of a run.
            maps: the index of the last feature maps, [1, rows, columns, d].
            kernel: of the head, [k, d].
        """
        self._run = interpreter.get_signature_runner("serving_default")
        self._interpreter, self._maps, self._kernel = interpreter, maps, kernel
        self._lock = threading.Lock()

    def maps(self, pixels: Pixels) -> tuple[Array, Array]:
        """Return the last feature maps [rows, columns, d] and the features [d] of a picture.

        Args:
            pixels: uint8 [size, size, 3].
        """
        with self._lock:
            answer = self._run(pixels=pixels[np.newaxis])
            maps = np.array(self._interpreter.get_tensor(self._maps)[0], np.float32)
            return maps, np.asarray(answer["features"][0], np.float32)

    def heat(self, pixels: Pixels, category: int) -> Array:
        """Return where a picture speaks for a category, float32 [size, size], 0..1.

        Args:
            pixels: uint8 [size, size, 3].
            category: its index.
        """
        maps, _ = self.maps(pixels)
        share = np.maximum(maps @ self._kernel[category], 0)
        share = share / (share.max() or 1.0)
        size = (pixels.shape[1], pixels.shape[0])
        smooth = Image.fromarray(share.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
        return np.clip(np.asarray(smooth, np.float32), 0, 1)


def open_activation(path: Path, categories: int) -> ClassActivation | None:
    """Open a LiteRT file for heat maps.

    Args:
        path: of `model.tflite`.
        categories: the number of its outputs.

    Returns:
        None where the network is not an average of feature maps with a linear head.
    """
    interpreter = Interpreter(
        model_path=str(path),
        num_threads=1,
        # The delegate that makes guesses fast keeps what it computes on the way to itself.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    found = _last_maps(interpreter, categories)
    if found is None:
        return None
    activation = ClassActivation(interpreter, *found)
    size = interpreter.get_input_details()[0]["shape"][1]
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8)
    maps, features = activation.maps(noise)
    averages = maps.mean(axis=(0, 1))
    reach = max(1.0, float(np.abs(features).max()))
    agree = averages.shape == features.shape and np.allclose(
        averages, features, atol=_TOLERANCE * reach
    )
    return activation if agree else None


def _last_maps(interpreter: Interpreter, categories: int) -> tuple[int, Array] | None:
    """Return the index of the last feature maps, and the kernel [k, d] of the head."""
    # The list of operations is not in the public interface, though all that it names is.
    operations: list[dict[str, Any]] = interpreter._get_ops_details()
    shapes = {one["index"]: tuple(one["shape"]) for one in interpreter.get_tensor_details()}
    heads = [one for one in operations if one["op_name"] == "FULLY_CONNECTED"]
    pools = [one for one in operations if one["op_name"] == "MEAN"]
    pools = [one for one in pools if len(shapes.get(int(one["inputs"][0]), ())) == 4]
    if not heads or not pools:
        return None
    head, pool = heads[-1], pools[-1]
    kernel = int(head["inputs"][1])
    if shapes.get(kernel, ())[:1] != (categories,):
        return None
    return int(pool["inputs"][0]), np.array(interpreter.get_tensor(kernel), np.float32)
