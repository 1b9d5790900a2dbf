"""A classifier cut in two gives the same logits, folded or not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from networks import classifier, pixels
from retrain.model.backbones import backbone_named
from retrain.model.cut import cut_layer, cut_points, split_at
from retrain.model.folded import copy_weights, fold_batch_norm

NETWORKS = [
    ("efficientnet_lite0", 64),
    ("mobilenetv2_035", 64),
    ("resnet50", 64),
    ("inceptionv3", 75),
    ("densenet121", 32),
    ("convnext_tiny", 32),
]


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_lower_then_upper_is_the_whole(name: str, size: int, fold: bool) -> None:
    model, images = classifier(name, size), pixels(size, 2)
    model = fold_batch_norm(model) if fold else model
    whole = np.asarray(model(images))
    found = [cut_layer(model, backbone_named(name), groups) for groups in range(1, 5)]
    layers = [layer for layer in found if layer]
    assert layers
    for layer in layers:
        lower, upper = split_at(model, layer)
        activations = lower(images)
        np.testing.assert_allclose(upper(activations), whole, rtol=1e-5, atol=1e-6)
        halved = tf.cast(activations, tf.float16)
        np.testing.assert_allclose(upper(halved), whole, rtol=0.02, atol=0.02 * np.abs(whole).max())
    np.testing.assert_array_equal(model(images), whole)


def test_lite0_can_be_cut_behind_stages_4_and_5() -> None:
    model = classifier("efficientnet_lite0", 224)
    for groups, name, shape in (
        (3, "stage4_block3_add", (14, 14, 80)),
        (2, "stage5_block3_add", (14, 14, 112)),
    ):
        assert cut_layer(model, backbone_named("efficientnet_lite0"), groups) == name
        assert tuple(model.get_layer(name).output.shape[1:]) == shape
    assert cut_layer(model, backbone_named("efficientnet_lite0"), 5) is None


def test_nothing_skips_a_cut() -> None:
    points = cut_points(classifier("mobilenetv2_035", 32))
    assert "block_2_add" in points
    assert "block_2_project_BN" not in points  # the shortcut of the block passes it by
    assert points.index("block_1_project_BN") < points.index("block_2_add")


def test_a_cut_that_something_skips_is_refused() -> None:
    with pytest.raises(ValueError, match="block_2_project_BN"):
        split_at(classifier("mobilenetv2_035", 32), "block_2_project_BN")


def test_the_upper_part_trains_the_model_and_only_above_the_cut() -> None:
    model = classifier("mobilenetv2_035", 32)
    lower, upper = split_at(fold_batch_norm(model), "block_12_add")
    below = {layer.name for layer in lower.layers}
    assert not {v.path.split("/")[0] for v in upper.trainable_variables} & below
    images = pixels(32)
    for variable in upper.trainable_variables:
        variable.assign(variable * 1.1)
    copy_weights(upper, model)
    np.testing.assert_allclose(model(images), upper(lower(images)), rtol=1e-4, atol=1e-4)


def test_mixed_precision_stays() -> None:
    model = fold_batch_norm(classifier("mobilenetv2_035", 32, policy="mixed_bfloat16"))
    lower, upper = split_at(model, "block_12_add")
    assert upper.dtype_policy.name == lower.dtype_policy.name == "mixed_bfloat16"
    activations = tf.cast(lower(pixels(32)), tf.float16)
    answer = upper(activations)
    assert answer.dtype == tf.float32
    np.testing.assert_allclose(answer, model(pixels(32)), atol=0.05 * np.abs(answer).max())
    assert isinstance(upper, keras.Model)
