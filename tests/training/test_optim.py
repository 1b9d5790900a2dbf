"""AdamW with a rate for each layer, in the ways Keras can use an optimiser."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from retrain.training.optim import BETA_2, EPSILON, LayerwiseAdamW
from retrain.training.schedules import MOMENTA, momentum, rate_share

RATES = {"low": 1e-3, "high": 1e-1}
STEPS, DECAY = 4, 0.5


def two_layers() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, name="low", bias_initializer="ones")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="high", bias_initializer="ones")(hidden))


def compiled(**options: object) -> keras.Model:
    model = two_layers()
    optimizer = LayerwiseAdamW(RATES, DECAY)
    model.compile(optimizer, keras.losses.MeanSquaredError(), **options)
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(8, 3)).astype(np.float32), rng.normal(size=(8, 2)).astype(np.float32)


def trained(model: keras.Model, epochs: int = STEPS) -> list[np.ndarray]:
    model.fit(*data(), batch_size=8, epochs=epochs, shuffle=False, verbose=0)
    return [np.asarray(values) for values in model.get_weights()]


def test_each_step_is_that_of_the_formula() -> None:
    rng = np.random.default_rng(1)
    kernel = keras.Variable(np.ones((2, 2), np.float32), name="kernel")
    optimizer = LayerwiseAdamW({"kernel": 1e-1}, DECAY)
    optimizer.build([kernel])
    value, first, second = np.ones((2, 2)), np.zeros((2, 2)), np.zeros((2, 2))
    for step in range(STEPS):
        optimizer.set_pace(rate_share(step, STEPS), momentum(step, STEPS))
        gradient = rng.normal(size=(2, 2)).astype(np.float32)
        optimizer.apply([tf.constant(gradient)])
        rate, beta = 1e-1 * rate_share(step, STEPS), momentum(step, STEPS)
        first += (gradient - first) * (1 - beta)
        second += (gradient**2 - second) * (1 - BETA_2)
        mean = first / (1 - beta ** (step + 1))
        deviation = np.sqrt(second / (1 - BETA_2 ** (step + 1)))
        value -= rate * (mean / (deviation + EPSILON) + DECAY * value)
        np.testing.assert_allclose(kernel.numpy(), value, rtol=1e-4)


def test_gradients_longer_than_the_limit_are_shortened_together() -> None:
    variables = [keras.Variable(np.zeros(2, np.float32), name=name) for name in ("a", "b")]
    optimizer = LayerwiseAdamW({"a": 1e-1, "b": 1e-1}, 0.0, global_clipnorm=1.0)
    optimizer.build(variables)
    optimizer.apply([tf.constant([300.0, 0.0]), tf.constant([0.0, 400.0])])
    first_moments = [m.numpy() for m in optimizer.variables if "momentum" in m.path]
    expected = (1 - MOMENTA[0]) * np.array([[0.6, 0.0], [0.0, 0.8]])
    np.testing.assert_allclose(first_moments, expected, rtol=1e-5)


def test_a_layer_without_a_rate_is_refused() -> None:
    with pytest.raises(KeyError, match="high"):
        LayerwiseAdamW({"low": 1e-3}, DECAY).build(two_layers().trainable_variables)


def test_layers_move_and_decay_at_their_own_rates_and_biases_do_not_decay() -> None:
    model = two_layers()
    optimizer = LayerwiseAdamW(RATES, DECAY)
    optimizer.build(model.trainable_variables)
    before = model.get_weights()
    for step in range(STEPS):
        optimizer.set_pace(rate_share(step, STEPS), 0.9)
        optimizer.apply([tf.zeros_like(v) for v in model.trainable_variables])
    shrunk = {}
    for variable, value in zip(model.trainable_variables, before, strict=True):
        shrunk[variable.path] = 1 - variable.numpy().mean() / value.mean()
    total = sum(rate_share(step, STEPS) for step in range(STEPS))
    assert shrunk["low/kernel"] == pytest.approx(1e-3 * DECAY * total, rel=1e-2)
    assert shrunk["high/kernel"] == pytest.approx(1e-1 * DECAY * total, rel=5e-2)
    assert shrunk["low/bias"] == shrunk["high/bias"] == 0


def test_compiled_by_xla_it_does_the_same() -> None:
    for plain, fused in zip(
        trained(compiled(jit_compile=False)), trained(compiled(jit_compile=True)), strict=True
    ):
        np.testing.assert_allclose(plain, fused, atol=1e-5)


def test_under_a_mirrored_strategy_of_one_device_it_does_the_same() -> None:
    expected = trained(compiled())
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        model = compiled()
    for plain, mirrored in zip(expected, trained(model), strict=True):
        np.testing.assert_allclose(plain, mirrored, atol=1e-6)


def test_under_mixed_precision_it_moves_float32_weights() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = compiled()
    finally:
        keras.config.set_dtype_policy("float32")
    before = model.get_weights()
    for old, new in zip(before, trained(model), strict=True):
        assert new.dtype == np.float32
        assert not np.array_equal(old, new)


def test_saved_in_the_middle_and_loaded_it_goes_on_the_same(tmp_path: Path) -> None:
    expected = trained(compiled())
    half = compiled()
    trained(half, 2)
    half.save(tmp_path / "half.keras")
    loaded = keras.models.load_model(tmp_path / "half.keras")
    assert isinstance(loaded.optimizer, LayerwiseAdamW)
    assert loaded.optimizer.get_config() == half.optimizer.get_config()
    for whole, parts in zip(expected, trained(loaded, 2), strict=True):
        np.testing.assert_array_equal(whole, parts)
