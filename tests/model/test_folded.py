"""The twin with folded BatchNorm learns what the original would."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from networks import classifier, pixels
from retrain.model.folded import copy_weights, fold_batch_norm

NETWORKS = [("efficientnet_lite0", 64), ("mobilenetv2_035", 64), ("resnet50", 64)]


def batch_norms(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if "BatchNorm" in type(layer).__name__]


def gradients(model: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(tf.cast(model(images, training=True), tf.float32)))
    found = tape.gradient(loss, model.trainable_variables)
    return {
        variable.path: np.asarray(gradient)
        for variable, gradient in zip(model.trainable_variables, found, strict=True)
    }


@pytest.mark.parametrize("cheap", [False, True])
@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_outputs_and_all_gradients_are_the_originals(name: str, size: int, cheap: bool) -> None:
    model, images = classifier(name, size), pixels(size)
    twin = fold_batch_norm(model, cheap)
    assert batch_norms(model)
    assert not batch_norms(twin)
    expected = np.asarray(model(images))
    np.testing.assert_allclose(twin(images), expected, rtol=1e-4, atol=1e-4 * expected.std())
    right, ours = gradients(model, images), gradients(twin, images)
    assert list(ours) == list(right)
    largest = max(np.linalg.norm(gradient) for gradient in right.values())
    for path, gradient in right.items():
        off = np.linalg.norm(ours[path] - gradient)
        assert off < 1e-3 * np.linalg.norm(gradient) + 1e-5 * largest, path


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_stays_and_is_no_less_precise(policy: str) -> None:
    name, size = "mobilenetv2_035", 64
    model, images = classifier(name, size, policy=policy), pixels(size)
    twin = fold_batch_norm(model)
    assert twin.dtype_policy.name == policy
    policies = [(layer.name, layer.compute_dtype) for layer in model.layers]
    assert [(layer.name, layer.compute_dtype) for layer in twin.layers] == policies
    exact = np.asarray(classifier(name, size)(images))
    off = [np.abs(np.asarray(m(images)) - exact).mean() for m in (model, twin)]
    assert off[1] < 1.5 * off[0]


def test_a_step_of_the_twin_copied_back_is_a_step_of_the_original() -> None:
    model, images = classifier("mobilenetv2_035", 64), pixels(64)
    twin = fold_batch_norm(model)
    before = np.asarray(model(images))
    for name, gradient in gradients(twin, images).items():
        variable = next(v for v in twin.trainable_variables if v.path == name)
        variable.assign_sub(1e-2 * gradient)
    np.testing.assert_array_equal(model(images), before)
    copy_weights(twin, model)
    after = np.asarray(model(images))
    assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()
    np.testing.assert_allclose(after, twin(images), rtol=1e-4, atol=1e-4 * before.std())


def test_what_trains_is_what_was_free() -> None:
    model = classifier("efficientnet_lite0", 32, groups=2)
    twin = fold_batch_norm(model)
    names = [variable.path for variable in model.trainable_variables]
    assert 0 < len(names) < len(model.weights) / 2
    assert [variable.path for variable in twin.trainable_variables] == names
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]


def test_a_batch_norm_that_learns_or_stands_before_a_convolution_stays() -> None:
    dense = classifier("densenet121", 32)
    left = batch_norms(fold_batch_norm(dense))
    assert "conv1_bn" not in left  # behind a convolution
    assert "conv2_block1_0_bn" in left  # reads a concatenation
    model = classifier("mobilenetv2_035", 32)
    model.get_layer("bn_Conv1").trainable = True
    twin = fold_batch_norm(model)
    assert batch_norms(twin) == ["bn_Conv1"]
    assert twin.get_layer("bn_Conv1").trainable


def test_a_convolution_that_others_read_too_keeps_its_batch_norm() -> None:
    inputs = keras.Input((8, 8, 3))
    filtered = keras.layers.Conv2D(3, 1, name="filtered")(inputs)
    norm = keras.layers.BatchNormalization(trainable=False, name="norm")(filtered)
    model = keras.Model(inputs, keras.layers.Add()([filtered, norm]))
    assert batch_norms(fold_batch_norm(model)) == ["norm"]


def test_a_network_without_batch_norm_is_its_own_twin() -> None:
    model = classifier("convnext_tiny", 32)
    assert fold_batch_norm(model) is model
