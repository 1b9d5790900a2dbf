"""The other ways to the gradients of depthwise convolutions give the same numbers."""

import numpy as np
import pytest
import tensorflow as tf

from retrain.model.depthwise import Padding, convolve


def gradients(
    inputs: tf.Tensor, filters: tf.Tensor, stride: int, padding: Padding, *, ours: bool
) -> list[np.ndarray]:
    """Return the outputs, and the gradients of inputs and filters, float32."""
    with tf.GradientTape() as tape:
        tape.watch([inputs, filters])
        if ours:
            answer = convolve(inputs, filters, stride, padding)
        else:
            answer = tf.nn.depthwise_conv2d(
                inputs, filters, [1, stride, stride, 1], padding.upper()
            )
        loss = tf.reduce_sum(tf.sin(answer))
    found = tape.gradient(loss, [inputs, filters])
    return [np.asarray(tf.cast(tensor, tf.float32)) for tensor in (answer, *found)]


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize(
    ("size", "stride", "padding"),
    [
        (14, 1, "same"),
        (7, 1, "same"),
        (2, 1, "same"),
        (9, 1, "valid"),
        (14, 2, "same"),
        (13, 2, "same"),
        (15, 2, "valid"),
    ],
)
def test_gradients_are_those_of_tensorflow(
    size: int, stride: int, padding: Padding, kernel: int, multiplier: int
) -> None:
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=(3, size, size + 2, 6)), tf.float32)
    filters = tf.constant(rng.normal(size=(kernel, kernel, 6, multiplier)), tf.float32)
    right = gradients(inputs, filters, stride, padding, ours=False)
    mine = gradients(inputs, filters, stride, padding, ours=True)
    for a, b in zip(mine, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("stride", [1, 2])
def test_bfloat16_stays_bfloat16(stride: int) -> None:
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=(3, 14, 14, 16)), tf.bfloat16)
    filters = tf.constant(rng.normal(size=(5, 5, 16, 1)), tf.bfloat16)
    exact = [tf.cast(tensor, tf.float32) for tensor in (inputs, filters)]
    right = gradients(exact[0], exact[1], stride, "same", ours=False)
    mine = gradients(inputs, filters, stride, "same", ours=True)
    for a, b in zip(mine, right, strict=True):
        assert np.linalg.norm(a - b) < 0.03 * np.linalg.norm(b)
