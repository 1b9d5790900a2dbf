"""What the machine offers TensorFlow, and the number format that follows from it."""

from typing import Any

import tensorflow as tf
from tensorflow.python.util import _pywrap_util_port  # no public name tells of oneDNN

from retrain.config import Precision

TENSOR_CORES = (7, 0)  # the NVIDIA compute capability from which float16 is faster


def gpus() -> list[Any]:
    """Return the GPUs that TensorFlow sees."""
    return list(tf.config.list_physical_devices("GPU"))


def dtype_policy_name(precision: Precision) -> str:
    """Return the Keras dtype policy for a precision; "auto" asks the hardware.

    On a CPU "auto" is float32: bfloat16 is faster only with avx512_bf16 or AMX, and not always.
    """
    if precision != "auto":
        return precision
    found = gpus()
    capabilities = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in found
    ]
    fast = bool(found) and all(capability >= TENSOR_CORES for capability in capabilities)
    return "mixed_float16" if fast else "float32"


def has_onednn() -> bool:
    """Tell whether TensorFlow computes with oneDNN here."""
    return bool(_pywrap_util_port.IsMklEnabled())
