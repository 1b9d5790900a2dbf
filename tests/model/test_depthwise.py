"""The other way to the gradient of depthwise filters gives the same numbers."""

import numpy as np
import pytest
import tensorflow as tf

from retrain.model.depthwise import Padding, can_split, convolve


@pytest.mark.parametrize(
    ("size", "stride", "padding"),
    [(14, 1, "same"), (7, 1, "same"), (14, 2, "same"), (13, 2, "same"), (15, 2, "valid")],
)
@pytest.mark.parametrize("multiplier", [1, 2])
def test_gradients_are_those_of_tensorflow(
    size: int, stride: int, padding: Padding, multiplier: int
) -> None:
    rng = np.random.default_rng(0)
    inputs = tf.constant(rng.normal(size=(3, size, size + 2, 6)), tf.float32)
    filters = tf.constant(rng.normal(size=(5, 5, 6, multiplier)), tf.float32)

    def gradients(ours: bool) -> list[np.ndarray]:
        strides = [1, stride, stride, 1]
        with tf.GradientTape() as tape:
            tape.watch([inputs, filters])
            if ours:
                answer = convolve(inputs, filters, stride, padding)
            else:
                answer = tf.nn.depthwise_conv2d(inputs, filters, strides, padding.upper())
            loss = tf.reduce_sum(tf.sin(answer))
        return [np.asarray(g) for g in (answer, *tape.gradient(loss, [inputs, filters]))]

    for mine, right in zip(gradients(True), gradients(False), strict=True):
        np.testing.assert_allclose(mine, right, rtol=1e-4, atol=1e-4 * np.abs(right).max())


def test_other_shapes_are_left_to_tensorflow() -> None:
    assert can_split((5, 5), (1, 1), "same")
    assert not can_split((5, 5), (1, 1), "valid")
    assert not can_split((3, 3), (1, 1), "same")
