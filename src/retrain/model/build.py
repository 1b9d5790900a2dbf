"""Backbone + head as one flat Keras model: uint8 pixels in, float32 logits out."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.errors import WeightsError, first_line
from retrain.model import efficientnet_lite
from retrain.model.backbones import Backbone, Scaling
from retrain.model.checkpoint import read_checkpoint
from retrain.model.weights import Weights

# Scale and offset of RGB pixels 0..255, as the authors of the weights trained them. "caffe" is also
# BGR; "inside" networks bring their own first layer. The constants are those of keras.applications
# (imagenet_utils.preprocess_input), for "lite" those of the EfficientNet-Lite reference.
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
SCALINGS: dict[Scaling, tuple[Any, Any]] = {
    "lite": (1 / 128, -127 / 128),
    "tf": (1 / 127.5, -1.0),
    "caffe": (1.0, [-123.68, -116.779, -103.939]),
    "torch": ((1 / (255 * _DEVIATION)).tolist(), (-_MEAN / _DEVIATION).tolist()),
    "inside": (1.0, 0.0),
}

FEATURES = "features"
LOGITS = "logits"


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Build layers under a Keras dtype policy, such as "mixed_float16"."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def build_backbone(backbone: Backbone, size: int, weights: Weights) -> keras.Model:
    """Build a backbone with the weights that a training starts from.

    Args:
        backbone: a row of the table of backbones.
        size: the height and width of the input in pixels.
        weights: the weights, as `weights.obtain` returns them.

    Returns:
        A flat model from uint8 [n, size, size, 3] RGB to bottleneck features, float32 [n, d].

    Raises:
        WeightsError: the weights file does not fit the network.
    """
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    scale, offset = SCALINGS[backbone.scaling]
    scaled = keras.layers.Rescaling(scale, offset, name="scaling")(pixels)
    if backbone.scaling == "caffe":
        scaled = keras.ops.flip(scaled, axis=-1)
    if backbone.package:
        network = efficientnet_lite.build(backbone.builder, scaled)  # type: ignore[arg-type]
    else:
        builder = getattr(keras.applications, backbone.builder)
        network = builder(
            include_top=False,
            weights=None,
            input_tensor=scaled,
            pooling="avg",
            **backbone.arguments,
        )
    _load(network, backbone, weights)
    features = keras.layers.Activation("linear", dtype="float32", name=FEATURES)(network.output)
    return keras.Model(network.input, features, name=backbone.name)


def _load(network: keras.Model, backbone: Backbone, weights: Weights) -> None:
    if weights.path is None:
        return
    if backbone.package:
        efficientnet_lite.load(network, read_checkpoint(weights.path))
        return
    try:
        network.load_weights(weights.path)
    except Exception as error:  # h5py and Keras raise many kinds for a file that does not fit
        raise WeightsError(
            f"{weights.path} does not fit {backbone.name}, or is damaged: {first_line(error)}. "
            "Delete the file, or name another one.",
            setting="weights",
        ) from error


def add_head(
    backbone: keras.Model, kernel: NDArray[np.float32], bias: NDArray[np.float32]
) -> keras.Model:
    """Put a linear head on a backbone's features.

    Args:
        backbone: a model of `build_backbone`; its layers are shared, not copied.
        kernel: the kernel of the head, float32 [d, k].
        bias: the bias of the head, float32 [k].

    Returns:
        A flat model from uint8 pixels to float32 logits [n, k].
    """
    head = keras.layers.Dense(len(bias), dtype="float32", name=LOGITS)
    model = keras.Model(backbone.input, head(backbone.output), name=f"{backbone.name}_classifier")
    head.set_weights([kernel, bias])
    return model


def shift_bias(model: keras.Model, by: NDArray[np.float32] | float) -> None:
    """Add a constant, float32 [k], to the logits of a classifier."""
    kernel, bias = model.get_layer(LOGITS).get_weights()
    model.get_layer(LOGITS).set_weights([kernel, bias + by])


def feature_model(model: keras.Model) -> keras.Model:
    """Return the model up to its features, float32 [n, d]; its layers are shared, not copied."""
    return keras.Model(model.input, model.get_layer(FEATURES).output)


def layer_groups(model: keras.Model, backbone: Backbone) -> list[list[keras.layers.Layer]]:
    """Return the layers of a model in groups, from the stem to the head, which ends the last."""
    names = [layer.name for layer in model.layers]
    ends = [
        max(i for i, name in enumerate(names) if name.startswith(prefix)) + 1
        for prefix in backbone.group_ends
    ]
    bounds = [0, *ends, len(names)]
    return [model.layers[start:end] for start, end in itertools.pairwise(bounds)]


def free_last_groups(model: keras.Model, backbone: Backbone, count: int) -> None:
    """Make the last `count` layer groups trainable, and all other layers not.

    BatchNorm stays frozen, so that it keeps ImageNet's statistics. Updating them on a few hundred
    pictures is the classic way in which fine-tuning collapses (keras#9214).
    """
    groups = layer_groups(model, backbone)
    for index, group in enumerate(groups):
        free = index >= len(groups) - count
        for layer in group:
            layer.trainable = free and not isinstance(layer, keras.layers.BatchNormalization)


def copy_under(policy: str, model: keras.Model, backbone: Backbone, size: int) -> keras.Model:
    """Rebuild a classifier under a dtype policy, with the same weights.

    Training copies a model into mixed precision this way, and export copies it back to float32.
    """
    kernel, bias = model.get_layer(LOGITS).get_weights()
    with dtype_policy(policy):
        copy = add_head(build_backbone(backbone, size, Weights("none")), kernel, bias)
    copy.set_weights(model.get_weights())
    return copy
