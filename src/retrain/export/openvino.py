"""OpenVINO's format, for Intel's processors; the only file that imports openvino."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from retrain.data.images import PixelRules, Pixels
from retrain.errors import MachineError
from retrain.export.outputs import Outputs, pixel_spec

NAME = "model.xml"
MISSING = 'Exports to OpenVINO need its package: pip install ".[openvino]" where retrain is cloned.'


def export_openvino(outputs: Outputs, rules: PixelRules, folder: Path) -> Path:
    """Write `model.xml` and `model.bin`: uint8 pixels -> `probabilities`, `features`, in float32.

    Args:
        outputs: what the model answers, as returned by `freeze`.
        rules: the pixel rules, which decide the input size.
        folder: to write to.

    Raises:
        MachineError: openvino is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise MachineError(MISSING) from error
    with tempfile.TemporaryDirectory(dir=folder, prefix=".openvino-") as saved:
        serve = tf.function(outputs, [pixel_spec(rules)])
        tf.saved_model.save(tf.Module(), saved, signatures={"serving_default": serve})
        model = openvino.convert_model(saved)
    path = folder / NAME
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def openvino_runner(path: Path) -> Callable[[Pixels], NDArray[np.float32]]:
    """Return what runs the files, uint8 pixels to probabilities, on the CPU.

    Raises:
        MachineError: openvino is not installed.
    """
    try:
        import openvino
    except ImportError as error:
        raise MachineError(MISSING) from error
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # some processors would take bfloat16
    compiled = openvino.compile_model(path, "CPU", exact)
    return lambda pixels: np.asarray(compiled({"pixels": pixels})["probabilities"])
