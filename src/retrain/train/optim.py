"""The optimiser of fine-tuning, and the proof that loss scaling is on where it must be."""

import keras

from retrain.config import FineTuneConfig

WARM_UP = 0.1  # share of the steps in which the learning rate rises


def compile_for_tuning(model: keras.Model, config: FineTuneConfig, steps: int) -> None:
    """Compile with AdamW (Loshchilov & Hutter 2019): warm-up, then cosine to zero over `steps`.

    No decay on biases and on BatchNorm. With mixed_float16 Keras wraps the optimiser in a
    LossScaleOptimizer, but only if the model was built under that policy; losing it goes
    unnoticed until gradients vanish, hence the check.
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
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    if scaled != (model.dtype_policy.name == "mixed_float16"):
        raise AssertionError(f"loss scaling is {scaled} under {model.dtype_policy.name}")
