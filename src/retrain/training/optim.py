"""The optimiser and the training step of fine-tuning."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from retrain.config import FineTuneConfig
from retrain.model.backbones import Backbone
from retrain.model.build import layer_groups
from retrain.training.schedules import group_rates, momentum, rate_share

BETA_2, EPSILON = 0.99, 1e-5  # fastai's values, for trainings of few steps
NOT_DECAYED = ("bias", "gamma", "beta")

Step = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@keras.saving.register_keras_serializable("retrain")
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """The learning rate of one cycle.

    peak: the highest learning rate.
    steps: the number of steps of the whole training.
    """

    def __init__(self, peak: float, steps: int) -> None:
        self.peak, self.steps = peak, steps
        self._rates = _table(lambda step: peak * rate_share(step, steps), steps)

    def __call__(self, step: Any) -> Any:
        """Return the rate at a step; steps after the last one have the last rate."""
        return _at(self._rates, step)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for Keras to save."""
        return {"peak": self.peak, "steps": self.steps}


@keras.saving.register_keras_serializable("retrain")
class OneCycleAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW (Loshchilov & Hutter 2019) over one cycle, with a learning rate for each layer.

    Keras' own AdamW knows one rate for all variables, hence one decay, and a constant momentum.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        steps: int,
        weight_decay: float,
        **others: Any,
    ) -> None:
        """Prepare the optimiser; `build` fits it to its variables.

        Args:
            rates: the peak rate of each layer that trains, by the layer's name.
            steps: the number of steps of the whole training.
            weight_decay: the share of a weight that a step takes away, times the layer's rate;
                biases and BatchNorm are not decayed.
            others: further arguments of `keras.optimizers.Optimizer`.
        """
        others.setdefault("learning_rate", OneCycle(max(rates.values()), steps))
        others |= {"beta_2": BETA_2, "epsilon": EPSILON}
        super().__init__(weight_decay=weight_decay, **others)
        self.rates, self.steps = dict(rates), steps
        self._momenta = _table(lambda step: momentum(step, steps), steps)
        self._shares: list[float] = []
        self._decays: list[float] = []

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make the moments of these variables, and look up the variables' rates.

        Raises:
            KeyError: a layer has no rate.
        """
        super().build(variables)
        highest = max(self.rates.values())
        self._shares = [self.rates[v.path.split("/")[0]] / highest for v in variables]
        self._decays = [0.0 if v.name in NOT_DECAYED else self.weight_decay for v in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable against its gradient, and towards zero."""
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        kind = variable.dtype
        rate = ops.cast(learning_rate, kind) * self._shares[index]
        gradient = ops.cast(gradient, kind)
        count = ops.cast(self.iterations + 1, kind)
        beta_1 = ops.cast(_at(self._momenta, self.iterations), kind)
        self.assign_add(first, (gradient - first) * (1 - beta_1))
        self.assign_add(second, (ops.square(gradient) - second) * (1 - self.beta_2))
        mean = first / (1 - ops.power(beta_1, count))
        deviation = ops.sqrt(second / (1 - ops.power(ops.cast(self.beta_2, kind), count)))
        towards_zero = self._decays[index] * ops.convert_to_tensor(variable)
        self.assign_sub(variable, rate * (mean / (deviation + self.epsilon) + towards_zero))

    def _apply_weight_decay(self, variables: Any) -> None:
        """Do nothing, since `update_step` decays: Keras would decay all layers at one rate."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for Keras to save."""
        config = super().get_config()
        for fixed in ("beta_1", "beta_2", "epsilon", "amsgrad"):
            del config[fixed]
        return {**config, "rates": self.rates, "steps": self.steps}


def _table(of_step: Callable[[int], float], steps: int) -> NDArray[np.float32]:
    return np.array([of_step(step) for step in range(steps)], np.float32)


def _at(values: NDArray[np.float32], step: Any) -> Any:
    return ops.take(values, ops.minimum(ops.cast(step, "int32"), len(values) - 1))


def make_optimizer(
    config: FineTuneConfig,
    learning_rates: tuple[float, float],
    model: keras.Model,
    backbone: Backbone,
    steps: int,
    schedule: keras.optimizers.schedules.LearningRateSchedule | None = None,
) -> keras.optimizers.Optimizer:
    """Return the optimiser of a model whose last layer groups are free.

    Under "mixed_float16" gradients smaller than float16 can hold would vanish, so the loss is
    scaled there (Micikevicius et al. 2018).

    Args:
        config: the settings of layer groups, weight decay and clipping.
        learning_rates: the peaks of the first free group and of the head, geometric in between.
        model: the model to train, from uint8 pixels to logits.
        backbone: the backbone's row of the table.
        steps: the number of steps of the whole training.
        schedule: the schedule of the head's learning rate; one cycle if None.
    """
    groups = layer_groups(model, backbone)[-config.groups :]
    peaks = group_rates(*learning_rates, len(groups))
    rates = {layer.name: peak for group, peak in zip(groups, peaks, strict=True) for layer in group}
    optimizer = OneCycleAdamW(
        rates,
        steps,
        config.weight_decay,
        learning_rate=schedule or OneCycle(max(peaks), steps),
        global_clipnorm=config.clip_norm,
    )
    if model.dtype_policy.name == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def make_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    smoothing: float = 0.0,
    weights: NDArray[np.float64] | None = None,
) -> Step:
    """Return one training step: (uint8 pixels [n, s, s, 3], float32 targets [n, k]) -> mean loss.

    It is compiled once for batches of any size; `train_on_batch` would compile again for the last,
    smaller one.

    Args:
        model: the model to train, from uint8 pixels to logits.
        optimizer: the optimiser of the model's trainable variables.
        smoothing: the share of each target that all categories divide (Szegedy et al. 2016).
        weights: how much a picture counts, by its category, float [k]; a blended picture counts as
            its parts do. None if all count the same.
    """
    if model.dtype_policy.name == "mixed_float16" and not isinstance(
        optimizer, keras.optimizers.LossScaleOptimizer
    ):
        raise AssertionError("mixed_float16 without loss scaling loses small gradients")
    optimizer.build(model.trainable_variables)
    loss_function = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=smoothing
    )

    each = None if weights is None else tf.constant(weights[:, None], tf.float32)

    def step(pixels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        counts = None if each is None else tf.squeeze(targets @ each, axis=1)
        with tf.GradientTape() as tape:
            loss = loss_function(targets, model(pixels, training=True), counts)
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(scaled, model.trainable_variables))
        return loss

    signature = [
        tf.TensorSpec(model.input_shape, tf.uint8),
        tf.TensorSpec(model.output_shape, tf.float32),
    ]
    return tf.function(step, signature)  # type: ignore[no-any-return]
