"""EfficientNet-Lite 0 to 2: the network in Keras, and the names of its weights in checkpoints.

EfficientNet (Tan & Le 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excite and with
ReLU6 for swish, so that it runs quantized; stem and head do not scale. Reference:
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite

Layers are named by stage, block and part: `stem_conv`, `stage2_block1_expand_conv`, `head_bn`.
Where the weights come from and how pictures are scaled is not known here.
"""

import math
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import keras
import numpy as np

from retrain.errors import WeightsError

Variant = Literal["lite0", "lite1", "lite2"]
_Tensor: TypeAlias = keras.KerasTensor


class _Stage(NamedTuple):
    """A row of equal blocks.

    kernel: the size of the depthwise kernel.
    stride: the stride of the first block.
    expansion: the factor by which a block widens its channels.
    out: the number of channels that come out, before scaling.
    repeats: the number of blocks, before scaling.
    """

    kernel: int
    stride: int
    expansion: int
    out: int
    repeats: int


_STAGES = (
    _Stage(kernel=3, stride=1, expansion=1, out=16, repeats=1),
    _Stage(kernel=3, stride=2, expansion=6, out=24, repeats=2),
    _Stage(kernel=5, stride=2, expansion=6, out=40, repeats=2),
    _Stage(kernel=3, stride=2, expansion=6, out=80, repeats=3),
    _Stage(kernel=5, stride=1, expansion=6, out=112, repeats=3),
    _Stage(kernel=5, stride=2, expansion=6, out=192, repeats=4),
    _Stage(kernel=3, stride=1, expansion=6, out=320, repeats=1),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000
_WIDTH_AND_DEPTH: dict[Variant, tuple[float, float]] = {
    "lite0": (1.0, 1.0),
    "lite1": (1.0, 1.1),
    "lite2": (1.1, 1.2),
}

# Keras' names on the left, the checkpoint's on the right.
_OUTER_LAYERS = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "head_conv": "_conv_head",
    "head_bn": "_bn1",
    "head_logits": "_fc",
}
_BLOCK_LAYERS = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise_conv": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
_VARIABLES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def build(variant: Variant, scaled: keras.KerasTensor, top: bool = False) -> keras.Model:
    """Return the network on top of `scaled`, flat: its layers are the model's own layers.

    Args:
        variant: the variant, which decides width and depth; "lite0", "lite1" and "lite2" were made
            for 224, 240 and 260 pixels a side.
        scaled: the input, float [n, height, width, 3], RGB, (pixel - 127) / 128 with pixels of
            0..255, computed from one `keras.Input`.
        top: whether it ends with the 1000 classes of ImageNet instead of the features.

    Returns:
        A model with random weights from that input to bottleneck features [n, 1280], the means of
        values in 0..6, or to logits [n, 1000]; in the compute dtype of the global policy.
    """
    width, depth = _WIDTH_AND_DEPTH[variant]
    x = _conv_bn(scaled, "stem", _STEM, kernel=3, stride=2)
    for number, stage in enumerate(_STAGES, start=1):
        scales = 1 < number < len(_STAGES)
        repeats = math.ceil(stage.repeats * depth) if scales else stage.repeats
        out = _scaled_channels(stage.out, width)
        for block in range(1, repeats + 1):
            stride = stage.stride if block == 1 else 1
            x = _block(x, f"stage{number}_block{block}", stage, out, stride)
    x = _conv_bn(x, "head", _HEAD)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    if top:
        x = keras.layers.Dense(_CLASSES, name="head_logits")(x)
    (source,) = keras.utils.get_source_inputs(scaled)
    return keras.Model(source, x, name=f"efficientnet_{variant}")


def _scaled_channels(channels: int, width: float) -> int:
    """Return the multiple of 8 nearest to channels * width, halves up, never below 90 % of it."""
    exact = channels * width
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


def _block(x: _Tensor, name: str, stage: _Stage, out: int, stride: int) -> _Tensor:
    """Inverted residual with a linear bottleneck (Sandler et al. 2018): expand, filter, project."""
    shortcut, channels = x, x.shape[-1]
    if stage.expansion != 1:
        x = _conv_bn(x, f"{name}_expand", channels * stage.expansion)
    depthwise = keras.layers.DepthwiseConv2D(
        stage.kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )
    x = _bn(depthwise(x), f"{name}_depthwise")
    x = _conv_bn(x, f"{name}_project", out)
    if stride == 1 and channels == out:
        x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def _conv_bn(x: _Tensor, name: str, filters: int, *, kernel: int = 1, stride: int = 1) -> _Tensor:
    conv = keras.layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    # The last 1x1 of a block is linear: a ReLU would lose what the narrow tensor holds.
    return _bn(conv, name, relu=not name.endswith("project"))


def _bn(x: _Tensor, name: str, *, relu: bool = True) -> _Tensor:
    x = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
    return keras.layers.ReLU(max_value=6.0, name=f"{name}_relu")(x) if relu else x


def load(model: keras.Model, checkpoint: Mapping[str, np.ndarray]) -> None:
    """Assign every weight of a model of `build` from a PyTorch state dict, or none at all.

    Args:
        model: a model of `build`, of the same variant as the checkpoint.
        checkpoint: the arrays by name, as `read_checkpoint` returns them. `num_batches_tracked` is
            ignored, and so is the classifier `_fc` where the model has no top.

    Raises:
        WeightsError: a tensor is missing, has another shape, or belongs to no layer.
    """
    assignments, used = [], set()
    for layer, prefix in _checkpoint_prefixes(model).items():
        for variable in model.get_layer(layer).variables:
            name = f"{prefix}.{_VARIABLES[variable.name]}"
            assignments.append((variable, _fitting_tensor(checkpoint, name, variable, layer)))
            used.add(name)
    _refuse_leftovers(checkpoint, used)
    for variable, value in assignments:
        variable.assign(value)


def _checkpoint_prefixes(model: keras.Model) -> dict[str, str]:
    """Return the checkpoint's name of every layer that has weights there.

    The checkpoint counts the blocks through, from 0; we count them within their stage.
    """
    names = [layer.name for layer in model.layers]
    prefixes = {name: _OUTER_LAYERS[name] for name in names if name in _OUTER_LAYERS}
    matches = [re.fullmatch(r"stage(\d+)_block(\d+)_(\w+)", name) for name in names]
    parts = [(int(m[1]), int(m[2]), m[3], m[0]) for m in matches if m and m[3] in _BLOCK_LAYERS]
    index = {block: n for n, block in enumerate(sorted({part[:2] for part in parts}))}
    for stage, block, part, name in parts:
        prefixes[name] = f"_blocks.{index[stage, block]}.{_BLOCK_LAYERS[part]}"
    return prefixes


def _fitting_tensor(
    checkpoint: Mapping[str, np.ndarray], name: str, variable: keras.Variable, layer: str
) -> np.ndarray:
    """Return the tensor in Keras' order of axes; raise if it is not there or does not fit."""
    if name not in checkpoint:
        raise WeightsError(f"Weights must hold a tensor {name!r} for layer {layer!r}; they do not.")
    value = checkpoint[name]
    if value.ndim == 4:  # [out, in, y, x], or [c, 1, y, x] which Keras wants as [y, x, c, 1]
        value = value.transpose((2, 3, 0, 1) if layer.endswith("depthwise_conv") else (2, 3, 1, 0))
    elif value.ndim == 2:
        value = value.T
    if value.shape != tuple(variable.shape):
        shapes = f"{tuple(variable.shape)}. Received: {value.shape}"
        raise WeightsError(f"Weights {name!r} must fit layer {layer!r} of shape {shapes}.")
    return value


def _refuse_leftovers(checkpoint: Mapping[str, np.ndarray], used: set[str]) -> None:
    ignored = r".*\.num_batches_tracked" + ("" if "_fc.weight" in used else r"|_fc\..*")
    left = [name for name in checkpoint if name not in used and not re.fullmatch(ignored, name)]
    if left:
        raise WeightsError(
            "Weights must hold the tensors of this network and no others. Received: "
            f"{len(left)} of no layer here, such as {left[0]!r}."
        )
