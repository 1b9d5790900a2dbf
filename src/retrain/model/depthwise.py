"""Depthwise convolution with cheaper gradients on CPUs where oneDNN runs.

What TensorFlow computes there, with two threads, batch 32, in CPU milliseconds, and what it costs
here (AVX512; a forward pass takes 7, 5 and 2 in the first line; held to AVX2 it halves):

    gradient of filters  5 x 5            28x28x240 31 -> 10    14x14x672 20 -> 7   7x7x1152 11 -> 4
                         5 x 5, stride 2  56x56x144 26 -> 13    14x14x672 10 -> 4
    gradient of inputs   stride 1         56x56x144 19 -> 14    14x14x672  8 -> 5
                         stride 2, bfloat16                    112x112x96 171 -> 31
"""

from typing import Any, Literal

import tensorflow as tf

from retrain.model.devices import has_onednn

Padding = Literal["same", "valid"]


def is_cheaper() -> bool:
    """Tell whether `convolve` is cheaper than `tf.nn.depthwise_conv2d` here.

    It is where oneDNN runs the convolutions: on CPUs with VNNI, or if TF_ENABLE_ONEDNN_OPTS=1.
    """
    return has_onednn() and not tf.config.list_physical_devices("GPU")


def convolve(inputs: tf.Tensor, filters: tf.Tensor, stride: int, padding: Padding) -> tf.Tensor:
    """Convolve as `tf.nn.depthwise_conv2d`, with the same gradients at less cost.

    Args:
        inputs: [n, height, width, c], height and width known.
        filters: [k, k, c, m], of the same dtype.
        stride: the same in both directions.
        padding: the same on all sides but for a pixel.

    Returns:
        [n, height', width', c * m].
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def operation(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Any]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return (
                _inputs_gradient(x, kernel, upstream, stride, padding),
                _filters_gradient(x, kernel, upstream, stride, padding),
            )

        strides = [1, stride, stride, 1]
        return tf.nn.depthwise_conv2d(x, kernel, strides, padding.upper()), gradient

    return operation(inputs, filters)


def _inputs_gradient(
    x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor, stride: int, padding: Padding
) -> tf.Tensor:
    """Return the gradient of the inputs.

    At stride 1 it is a convolution itself, with the filters turned by half, which is faster. Above,
    oneDNN has no fast way for bfloat16, but one for float32.
    """
    rows, columns, _, multiplier = kernel.shape
    if stride == 1 and padding == "same" and multiplier == rows % 2 == columns % 2 == 1:
        return tf.nn.depthwise_conv2d(upstream, tf.reverse(kernel, [0, 1]), [1, 1, 1, 1], "SAME")
    kind = x.dtype if stride == 1 else tf.float32
    found = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=tf.shape(x),
        filter=tf.cast(kernel, kind),
        out_backprop=tf.cast(upstream, kind),
        strides=[1, stride, stride, 1],
        padding=padding.upper(),
    )
    return tf.cast(found, x.dtype)


def _filters_gradient(
    x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor, stride: int, padding: Padding
) -> tf.Tensor:
    """Return the gradient of the filters.

    oneDNN is fast for filters up to three columns wide; five columns cost it five times as much.
    """
    if tuple(kernel.shape[:2]) == (5, 5):
        if stride > 1:
            return _by_tensorflow(x, kernel, upstream, stride, padding)
        if padding == "same":
            return _by_thirds(x, kernel.shape[3], upstream)
    return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=x,
        filter_sizes=tf.shape(kernel),
        out_backprop=upstream,
        strides=[1, stride, stride, 1],
        padding=padding.upper(),
    )


def _by_thirds(x: tf.Tensor, multiplier: int, upstream: tf.Tensor) -> tf.Tensor:
    """Return the gradient of 5 x 5 filters at stride 1, "same", from two of 5 x 3.

    The three columns in the middle are one of them. The outer two reach two pixels to the sides:
    one pixel among even columns, and among odd ones. Seen as twice the channels at half the width
    (a reshape that copies nothing), these are the outer columns of another 5 x 3.
    """
    near = _three_columns(x, multiplier, upstream)
    if x.shape[2] % 2:
        x, upstream = (tf.pad(t, [[0, 0], [0, 0], [0, 1], [0, 0]]) for t in (x, upstream))
    far = _three_columns(_paired(x), multiplier, _paired(upstream))
    far = tf.reduce_sum(tf.reshape(far, [5, 3, 2, *near.shape[2:]]), axis=2)
    return tf.concat([far[:, :1], near, far[:, 2:]], axis=1)


def _three_columns(x: tf.Tensor, multiplier: int, upstream: tf.Tensor) -> tf.Tensor:
    """Return the gradient of filters [5, 3, c, m] at stride 1."""
    return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=x,
        filter_sizes=[5, 3, x.shape[3], multiplier],
        out_backprop=upstream,
        strides=[1, 1, 1, 1],
        padding="SAME",
    )


def _paired(x: tf.Tensor) -> tf.Tensor:
    """Return [n, h, w / 2, 2 c]: neighbours in a row become channels of one pixel."""
    _, height, width, channels = x.shape
    return tf.reshape(x, [-1, height, width // 2, 2 * channels])


def _by_tensorflow(
    x: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor, stride: int, padding: Padding
) -> tf.Tensor:
    """Return the gradient of the filters by TensorFlow's own code, in float32.

    TensorFlow hands "same" and "valid" to oneDNN, and explicit padding not.
    """
    around = [0, 0]
    for size, reach in zip(x.shape[1:3], kernel.shape[:2], strict=True):
        missing = (-(-size // stride) - 1) * stride + reach - size if padding == "same" else 0
        around += [max(0, missing) // 2, (max(0, missing) + 1) // 2]
    found = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=tf.cast(x, tf.float32),
        filter_sizes=tf.shape(kernel),
        out_backprop=tf.cast(upstream, tf.float32),
        strides=[1, stride, stride, 1],
        padding="EXPLICIT",
        explicit_paddings=[*around, 0, 0],
    )
    return tf.cast(found, kernel.dtype)
