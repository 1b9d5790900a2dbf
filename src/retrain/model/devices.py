"""What the machine offers TensorFlow, and the number format that follows from it."""

from functools import cache
from typing import Any

import tensorflow as tf
from tensorflow.python.util import _pywrap_util_port  # no public name tells of oneDNN

from retrain.config import Precision
from retrain.errors import UsageError

TENSOR_CORES = (7, 0)  # the NVIDIA compute capability from which float16 is faster


def gpus() -> list[Any]:
    """Return the GPUs that TensorFlow may use."""
    return list(tf.config.get_visible_devices("GPU"))


def show_gpus(count: int | None) -> None:
    """Leave no more GPUs in sight than are wanted, before TensorFlow uses one.

    Args:
        count: how many; None for all.

    Raises:
        UsageError: there are fewer.
    """
    found = tf.config.list_physical_devices("GPU")
    if count is None:
        return
    if count > len(found):
        raise UsageError(
            f"There must be as many GPUs as are wanted. Received: {count} wanted, {len(found)} "
            "there.",
            setting="gpus",
        )
    tf.config.set_visible_devices(found[:count], "GPU")


def training_strategy() -> Any:
    """Return how a training step is distributed: over all GPUs of this machine.

    Whoever has entered the scope of another strategy keeps that one.
    """
    if not tf.distribute.has_strategy() and len(gpus()) > 1:
        return _mirrored()
    return tf.distribute.get_strategy()


@cache
def _mirrored() -> Any:
    return tf.distribute.MirroredStrategy()


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
