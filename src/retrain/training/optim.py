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
from retrain.model.predict import fed
from retrain.training.schedules import MOMENTA, group_rates

BETA_2, EPSILON = 0.99, 1e-5  # fastai's values, for trainings of few steps
NOT_DECAYED = ("bias", "gamma", "beta")

Step = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@keras.saving.register_keras_serializable("retrain")
class LayerwiseAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW (Loshchilov & Hutter 2019) with a learning rate for each layer.

    Keras' own AdamW knows one rate for all variables, hence one decay, and a constant momentum.
    `set_pace` moves rate and momentum between steps, so that a plan can be shortened on the way.

    takes_sums: whether gradients come summed over all replicas.
    """

    def __init__(self, rates: Mapping[str, float], weight_decay: float, **others: Any) -> None:
        """Prepare the optimiser; `build` fits it to its variables.

        Args:
            rates: the peak rate of each layer that trains, by the layer's name.
            weight_decay: the share of a weight that a step takes away, times the layer's rate;
                biases and BatchNorm are not decayed.
            others: further arguments of `keras.optimizers.Optimizer`.
        """
        others |= {"beta_2": BETA_2, "epsilon": EPSILON, "learning_rate": max(rates.values())}
        super().__init__(weight_decay=weight_decay, **others)
        self.rates, self.takes_sums = dict(rates), False
        self._shares: list[float] = []
        self._decays: list[float] = []

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make the moments of these variables, and look up the variables' rates.

        Raises:
            KeyError: a layer has no rate.
        """
        if not self.built:
            begin = keras.initializers.Constant(MOMENTA[0])
            self._momentum = self.add_variable((), begin, "float32", name="pace")
        super().build(variables)
        highest = max(self.rates.values())
        self._shares = [self.rates[v.path.split("/")[0]] / highest for v in variables]
        self._decays = [0.0 if v.name in NOT_DECAYED else self.weight_decay for v in variables]

    def set_pace(self, share: float, momentum: float) -> None:
        """Set the rates of the next steps to a share of their peaks, and Adam's first beta."""
        self.learning_rate.assign(share * max(self.rates.values()))
        self._momentum.assign(momentum)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable against its gradient, and towards zero."""
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        kind = variable.dtype
        rate = ops.cast(learning_rate, kind) * self._shares[index]
        gradient = ops.cast(gradient, kind)
        count = ops.cast(self.iterations + 1, kind)
        beta_1 = ops.cast(self._momentum, kind)
        self.assign_add(first, (gradient - first) * (1 - beta_1))
        self.assign_add(second, (ops.square(gradient) - second) * (1 - self.beta_2))
        mean = first / (1 - ops.power(beta_1, count))
        deviation = ops.sqrt(second / (1 - ops.power(ops.cast(self.beta_2, kind), count)))
        towards_zero = self._decays[index] * ops.convert_to_tensor(variable)
        self.assign_sub(variable, rate * (mean / (deviation + self.epsilon) + towards_zero))

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        """Sum gradients of replicas, unless `make_step` has done so before they were clipped."""
        if self.takes_sums:
            return grads_and_vars
        return super()._all_reduce_sum_gradients(grads_and_vars)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Do nothing, since `update_step` decays: Keras would decay all layers at one rate."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for Keras to save."""
        config = super().get_config()
        for fixed in ("beta_1", "beta_2", "epsilon", "amsgrad", "learning_rate"):
            del config[fixed]
        return {**config, "rates": self.rates}


def make_optimizer(
    config: FineTuneConfig,
    learning_rates: tuple[float, float],
    model: keras.Model,
    backbone: Backbone,
    groups: int,
) -> keras.optimizers.Optimizer:
    """Return the optimiser of a model whose last layer groups are free.

    Under "mixed_float16" gradients smaller than float16 can hold would vanish, so the loss is
    scaled there (Micikevicius et al. 2018).

    Args:
        config: the settings of weight decay and clipping.
        learning_rates: the peaks of the first of all layer groups and of the head, geometric in
            between, so that a group has the same rate whether those before it train or not.
        model: the whole model, from uint8 pixels to logits, of which a part trains.
        backbone: the backbone's row of the table.
        groups: the number of layer groups that train, counted from the end.
    """
    every = layer_groups(model, backbone)
    peaks = group_rates(*learning_rates, len(every))
    named = list(zip(every, peaks, strict=True))[-groups:]
    rates = {layer.name: peak for group, peak in named for layer in group}
    optimizer = LayerwiseAdamW(rates, config.weight_decay, global_clipnorm=config.clip_norm)
    if model.dtype_policy.name == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def set_pace(optimizer: keras.optimizers.Optimizer, share: float, momentum: float) -> None:
    """Set rates and momentum of an optimiser of `make_optimizer`; see `LayerwiseAdamW.set_pace`."""
    getattr(optimizer, "inner_optimizer", optimizer).set_pace(share, momentum)


def make_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    smoothing: float = 0.0,
    weights: NDArray[np.float64] | None = None,
) -> Step:
    """Return one training step: (inputs [n, ...], float32 targets [n, k]) -> mean loss.

    It is compiled once for batches of any size; `train_on_batch` would compile again for the last,
    smaller one.

    Under a distribution strategy the replicas of this process share the batch that it is given, and
    gradients are those of the batches of all processes together: the loss is the mean over these,
    gradients are summed, then clipped, then applied, as one device would.

    Args:
        model: the model to train, to logits.
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
    getattr(optimizer, "inner_optimizer", optimizer).takes_sums = True
    loss_function = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=smoothing, reduction="sum"
    )

    signature, call = fed(model)
    each = None if weights is None else tf.constant(weights[:, None], tf.float32)
    strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    here = len(strategy.extended.worker_devices) if replicas > 1 else 1

    def summed(values: Any) -> Any:
        """Sum what replicas have; all get the sum."""
        if replicas == 1:
            return values
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)

    def of_replica(inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        if here > 1:
            own = tf.distribute.get_replica_context().replica_id_in_sync_group % here
            inputs, targets = inputs[own::here], targets[own::here]
        counts = None if each is None else tf.squeeze(targets @ each, axis=1)
        pictures = summed(tf.cast(tf.shape(targets)[0], tf.float32))
        with tf.GradientTape() as tape:
            loss = loss_function(targets, call(inputs, training=True), counts) / pictures
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(summed(tape.gradient(scaled, model.trainable_variables)))
        return summed(loss)

    def step(inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        if replicas == 1:
            return of_replica(inputs, targets)
        losses = strategy.run(of_replica, args=(inputs, targets))
        return strategy.experimental_local_results(losses)[0]

    wanted = tf.TensorSpec(model.output_shape, tf.float32)
    return tf.function(step, [signature, wanted])  # type: ignore[no-any-return]
