"""The optimiser and the training step of fine-tuning."""

from collections.abc import Callable

import keras
import tensorflow as tf

from retrain.config import FineTuneConfig

WARM_UP = 0.1  # share of the steps in which the learning rate rises

Step = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def make_optimizer(config: FineTuneConfig, steps: int, policy: str) -> keras.optimizers.Optimizer:
    """Return AdamW (Loshchilov & Hutter 2019): warm-up, then cosine to zero over `steps`.

    No decay on biases and on BatchNorm. Under "mixed_float16" gradients smaller than float16 can
    hold would vanish, so the loss is scaled there (Micikevicius et al. 2018).
    """
    warm_up = max(1, round(steps * WARM_UP))
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 10,
        decay_steps=max(1, steps - warm_up),
        warmup_target=config.learning_rate,
        warmup_steps=warm_up,
    )
    optimizer = keras.optimizers.AdamW(
        learning_rate=rate,
        weight_decay=config.weight_decay,
        global_clipnorm=config.clip_norm,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    if policy == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def make_step(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> Step:
    """Return one training step: (uint8 pixels [n, s, s, 3], int labels [n]) -> mean loss.

    Compiled once for batches of any size; `train_on_batch` would compile anew for the last one.
    """
    if model.dtype_policy.name == "mixed_float16" and not isinstance(
        optimizer, keras.optimizers.LossScaleOptimizer
    ):
        raise AssertionError("mixed_float16 without loss scaling loses small gradients")
    optimizer.build(model.trainable_variables)
    loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def step(pixels: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = loss_function(labels, model(pixels, training=True))
            scaled = optimizer.scale_loss(loss)
        optimizer.apply(tape.gradient(scaled, model.trainable_variables))
        return loss

    signature = [tf.TensorSpec(model.input_shape, tf.uint8), tf.TensorSpec([None], tf.int64)]
    return tf.function(step, signature)  # type: ignore[no-any-return]
