"""Every backbone of the table, from scratch weights and as small as it can be."""

from pathlib import Path

import keras
import numpy as np
import pytest

from retrain.config import FineTuneConfig
from retrain.errors import UsageError, WeightsError
from retrain.model.backbones import BACKBONES, Backbone, backbone_named, input_size
from retrain.model.build import (
    SCALINGS,
    add_head,
    build_backbone,
    copy_under,
    free_last_groups,
    layer_groups,
)
from retrain.model.predict import Forward
from retrain.model.weights import Weights
from retrain.training.optim import make_optimizer

SCRATCH = Weights("none")


def classifier(backbone: Backbone, categories: int = 3) -> keras.Model:
    network = build_backbone(backbone, backbone.min_size, SCRATCH)
    width = network.output_shape[-1]
    kernel = np.random.default_rng(0).normal(0, 0.05, (width, categories)).astype(np.float32)
    return add_head(network, kernel, np.zeros(categories, np.float32))


def noise(size: int, count: int = 2) -> np.ndarray:
    values = np.random.default_rng(1).integers(0, 256, (count, size, size, 3))
    return np.asarray(values, np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda backbone: backbone.name)
def test_a_backbone_runs_saves_and_frees_its_last_groups(
    backbone: Backbone, tmp_path: Path
) -> None:
    model = classifier(backbone)
    pixels = noise(backbone.min_size)
    logits = Forward(model)(pixels)
    assert logits.shape == (2, 3)
    assert np.isfinite(logits).all()

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(Forward(again)(pixels), logits, rtol=1e-5, atol=1e-5)

    groups = layer_groups(model, backbone)
    assert sum(map(len, groups)) == len(model.layers)
    assert all(any(layer.weights for layer in group) for group in groups)
    free_last_groups(model, backbone, 2)
    free = {layer.name for layer in model.layers if layer.trainable and layer.weights}
    assert free <= {layer.name for group in groups[-2:] for layer in group}
    assert "logits" in free
    assert not any(
        layer.trainable
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    # Building finds a rate for each variable by its layer's name, or fails.
    make_optimizer(FineTuneConfig(), (1e-4, 1e-3), model, backbone, 2).build(
        model.trainable_variables
    )


@pytest.mark.parametrize(
    ("scaling", "module"),
    [
        ("tf", keras.applications.mobilenet_v2),
        ("caffe", keras.applications.resnet),
        ("torch", keras.applications.densenet),
    ],
)
def test_scaling_equals_the_one_that_the_weights_were_trained_with(
    scaling: str, module: object
) -> None:
    pixels = noise(8)
    scale, offset = SCALINGS[scaling]  # type: ignore[index]
    ours = keras.layers.Rescaling(scale, offset)(pixels)
    if scaling == "caffe":
        ours = keras.ops.flip(ours, axis=-1)
    theirs = module.preprocess_input(pixels.astype(np.float32))  # type: ignore[attr-defined]
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_a_copy_in_mixed_precision_and_back_has_the_same_weights() -> None:
    backbone = backbone_named("mobilenetv2_035")
    model = classifier(backbone)
    half = copy_under("mixed_float16", model, backbone, backbone.min_size)
    assert half.get_layer("Conv1").compute_dtype == "float16"
    assert half.get_layer("logits").compute_dtype == "float32"
    back = copy_under("float32", half, backbone, backbone.min_size)
    pixels = noise(backbone.min_size)
    np.testing.assert_array_equal(Forward(back)(pixels), Forward(model)(pixels))
    assert keras.config.dtype_policy().name == "float32"


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    path.write_bytes(b"no weights at all")
    backbone = backbone_named("mobilenetv2_035")
    with pytest.raises(WeightsError, match=r"other\.h5 does not fit mobilenetv2_035"):
        build_backbone(backbone, 32, Weights("other.h5", path, "0" * 64))


def test_unknown_names_and_impossible_sizes_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="one of efficientnet_lite0"):
        backbone_named("resnet51")
    with pytest.raises(UsageError, match="75 to 1024"):
        input_size(backbone_named("inceptionv3"), 74)
    assert input_size(backbone_named("efficientnet_lite2"), None) == 260
