"""ONNX files, which many runtimes read; the only file that imports tf2onnx and onnxruntime."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from retrain.data.images import PixelRules, Pixels
from retrain.errors import MachineError
from retrain.export.outputs import Outputs, pixel_spec
from retrain.model.predict import freeze_variables

NAME = "model.onnx"
OPSET = 18  # tf2onnx 1.17 refuses later ones
MISSING = 'Exports to ONNX need some more packages: pip install ".[onnx]" where retrain is cloned.'


def export_onnx(outputs: Outputs, rules: PixelRules, folder: Path) -> Path:
    """Write `model.onnx`: uint8 pixels [n, size, size, 3] -> `probabilities`, `features`.

    It is made from the frozen graph: `keras.Model.export` leaves some constants outside as inputs.

    Args:
        outputs: what the model answers.
        rules: the pixel rules, which decide the input size.
        folder: to write to.

    Raises:
        MachineError: tf2onnx is not installed.
    """
    try:
        import tf2onnx
    except ImportError as error:
        raise MachineError(MISSING) from error
    run = tf.function(outputs, [pixel_spec(rules)])
    names = sorted(run.get_concrete_function().structured_outputs)  # as TensorFlow flattens them
    frozen = freeze_variables(run)
    renamed = dict(zip((tensor.name for tensor in frozen.outputs), names, strict=True))
    (given,) = (tensor.name for tensor in frozen.inputs)
    path = folder / NAME
    tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        name="retrain",
        input_names=[given],
        output_names=list(renamed),
        tensors_to_rename={given: "pixels", **renamed},
        opset=OPSET,
        output_path=str(path),
    )
    return path


def onnx_runner(path: Path) -> Callable[[Pixels], NDArray[np.float32]]:
    """Return what runs the file, uint8 pixels to probabilities, in onnxruntime.

    Raises:
        MachineError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MachineError(MISSING) from error
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda pixels: np.asarray(session.run(["probabilities"], {"pixels": pixels})[0])
