"""Depthwise convolution whose filters' gradient costs a third on CPUs where oneDNN runs."""

from typing import Literal

import tensorflow as tf
from tensorflow.python.util import _pywrap_util_port  # no public name tells it

Padding = Literal["same", "valid"]


def gains_from_split() -> bool:
    """Tell whether `convolve` is cheaper than `tf.nn.depthwise_conv2d` here.

    It is where oneDNN runs the convolutions: on CPUs with VNNI, or if TF_ENABLE_ONEDNN_OPTS=1.
    """
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    return bool(_pywrap_util_port.IsMklEnabled()) and not on_gpu


def can_split(kernel: tuple[int, int], strides: tuple[int, int], padding: Padding) -> bool:
    """Tell whether `convolve` computes the filters' gradient of this shape in another way."""
    return kernel == (5, 5) and (strides[0] > 1 or padding == "same")


def convolve(inputs: tf.Tensor, filters: tf.Tensor, stride: int, padding: Padding) -> tf.Tensor:
    """Convolve as `tf.nn.depthwise_conv2d`, with a cheaper gradient of 5 x 5 filters.

    oneDNN sums the gradient of filters up to three columns wide in registers; that of wider ones
    costs five times its forward pass. Measured, batch 32, two threads, CPU milliseconds:
    28x28x240 31 -> 10, 14x14x480 15 -> 5, 7x7x1152 11 -> 4, stride 2 56x56x144 26 -> 13.

    Args:
        inputs: [n, height, width, c], height and width known.
        filters: [5, 5, c, m], of the same dtype.
        stride: the same in both directions.
        padding: "valid" only where the stride is above 1.

    Returns:
        [n, height', width', c * m].
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def operation(x: tf.Tensor, kernel: tf.Tensor):  # type: ignore[no-untyped-def]
        strides = [1, stride, stride, 1]

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            towards_x = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x),
                filter=kernel,
                out_backprop=upstream,
                strides=strides,
                padding=padding.upper(),
            )
            multiplier = kernel.shape[3]
            if stride == 1:
                return towards_x, _from_thirds(x, upstream, multiplier)
            return towards_x, _without_onednn(x, upstream, multiplier, stride, padding)

        return tf.nn.depthwise_conv2d(x, kernel, strides, padding.upper()), gradient

    return operation(inputs, filters)


def _filter_gradient(x: tf.Tensor, upstream: tf.Tensor, multiplier: int) -> tf.Tensor:
    """Return the gradient of filters [5, 3, c, m] at stride 1."""
    return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=x,
        filter_sizes=[5, 3, x.shape[3], multiplier],
        out_backprop=upstream,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


def _from_thirds(x: tf.Tensor, upstream: tf.Tensor, multiplier: int) -> tf.Tensor:
    """Return the gradient of 5 x 5 filters at stride 1, "same", from two of 5 x 3.

    The three columns in the middle are one of them. The outer two reach two pixels to the sides:
    one pixel among even columns, and among odd ones. Seen as twice the channels at half the width
    (a reshape that copies nothing), these are the outer columns of another 5 x 3.
    """
    near = _filter_gradient(x, upstream, multiplier)
    if x.shape[2] % 2:
        x, upstream = (tf.pad(t, [[0, 0], [0, 0], [0, 1], [0, 0]]) for t in (x, upstream))
    far = _filter_gradient(_paired(x), _paired(upstream), multiplier)
    far = tf.reduce_sum(tf.reshape(far, [5, 3, 2, *near.shape[2:]]), axis=2)
    return tf.concat([far[:, :1], near, far[:, 2:]], axis=1)


def _paired(x: tf.Tensor) -> tf.Tensor:
    """Return [n, h, w / 2, 2 c]: neighbours in a row become channels of one pixel."""
    _, height, width, channels = x.shape
    return tf.reshape(x, [-1, height, width // 2, 2 * channels])


def _without_onednn(
    x: tf.Tensor, upstream: tf.Tensor, multiplier: int, stride: int, padding: Padding
) -> tf.Tensor:
    """Return the gradient of 5 x 5 filters by TensorFlow's own kernel.

    TensorFlow hands "same" and "valid" to oneDNN, and explicit padding not.
    """
    around = [0, 0]
    for size in x.shape[1:3]:
        missing = (-(-size // stride) - 1) * stride + 5 - size if padding == "same" else 0
        around += [max(0, missing) // 2, max(0, missing) - max(0, missing) // 2]
    return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=x,
        filter_sizes=[5, 5, x.shape[3], multiplier],
        out_backprop=upstream,
        strides=[1, stride, stride, 1],
        padding="EXPLICIT",
        explicit_paddings=[*around, 0, 0],
    )
