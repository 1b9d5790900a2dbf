"""The learning rate finder, on a small network and on losses made up."""

import itertools
from collections.abc import Iterator

import keras
import numpy as np
import pytest

from retrain.progress import Silent
from retrain.training.learner import Learner
from retrain.training.lr_finder import HIGHEST, LOWEST, Sweep, sweep
from retrain.training.optim import LayerwiseAdamW, make_step

STEPS = 60
PIXELS = np.stack([np.full((4, 4, 3), 20 + 200 * (i % 2), np.uint8) for i in range(8)])
TARGETS = np.eye(2, dtype=np.float32)[np.arange(8) % 2]


def small_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dropout(0.1)(keras.layers.Dense(8, activation="relu", name="low")(x))
    return keras.Model(inputs, keras.layers.Dense(2, name="high")(x))


def learner_of(model: keras.Model) -> Learner:
    optimizer = LayerwiseAdamW({"low": 0.1, "high": 1.0}, 0.0)
    return Learner(model, optimizer, make_step(model, optimizer), 1.0)


def batches(spoilt_from: int = STEPS) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for number in itertools.count():
        yield PIXELS, TARGETS * np.float32(np.nan if number >= spoilt_from else 1.0)


def run(model: keras.Model, spoilt_from: int = STEPS) -> Sweep:
    return sweep(learner_of(model), batches(spoilt_from), Silent(), STEPS)


def test_the_rate_rises_by_the_same_factor_from_end_to_end() -> None:
    found = run(small_model(), spoilt_from=STEPS)
    assert found.rates[0] == pytest.approx(LOWEST)
    ratios = np.array(found.rates[1:]) / found.rates[:-1]
    assert ratios == pytest.approx(
        [(HIGHEST / LOWEST) ** (1 / (STEPS - 1))] * len(ratios), rel=1e-3
    )


def test_model_and_optimiser_are_as_they_were_bit_for_bit() -> None:
    model = small_model()
    learner = learner_of(model)
    learner.step(PIXELS, TARGETS)  # moments and a counter that are not zero
    variables = [*model.variables, *learner.optimizer.variables]
    before = [np.asarray(v).copy() for v in variables]
    found = sweep(learner, batches(), Silent(), STEPS)
    assert len(found.rates) > 10
    for old, variable in zip(before, variables, strict=True):
        assert np.array_equal(old, np.asarray(variable)), variable.path


def test_an_interruption_restores_too() -> None:
    model = small_model()
    before = [np.asarray(v).copy() for v in model.variables]

    def interrupted() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield from itertools.islice(batches(), 5)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(learner_of(model), interrupted(), Silent(), STEPS)
    for old, variable in zip(before, model.variables, strict=True):
        assert np.array_equal(old, np.asarray(variable))


def test_a_loss_that_is_no_number_ends_the_sweep() -> None:
    found = run(small_model(), spoilt_from=12)
    assert len(found.rates) == len(found.losses) == 12
    assert np.isfinite(found.losses).all()


def test_suggestions_lie_where_the_loss_falls() -> None:
    rates = np.logspace(-6, 0, 61)
    position = np.linspace(0, 6, 61)  # flat to 2, falling to 4, rising beyond
    losses = 2 - np.clip(position - 2, 0, 2) * 0.8 + np.clip(position - 4, 0, None) ** 2 * 3
    losses += 1e-4 * position * (position < 2)
    found = Sweep(tuple(rates), tuple(losses)).suggestions()
    assert list(found) == ["valley", "steep", "minimum/10"]
    assert 1e-4 < found["valley"] < 1e-2
    assert 1e-4 <= found["steep"] <= 1e-2
    assert found["minimum/10"] == pytest.approx(1e-3, rel=0.3)


@pytest.mark.parametrize("losses", [(1.0, 0.5), tuple(1.0 + i for i in range(20))])
def test_without_a_fall_there_is_no_suggestion(losses: tuple[float, ...]) -> None:
    rates = tuple(np.logspace(-6, 0, len(losses)))
    assert Sweep(rates, losses).suggestions() == {}
