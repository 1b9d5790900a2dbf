"""What a trained model answers, as TensorFlow functions, from which all exports are made."""

from collections.abc import Callable

import keras
import tensorflow as tf

from retrain.data.images import PixelRules
from retrain.model.build import FEATURES, feature_model
from retrain.model.predict import freeze_variables

Outputs = Callable[[tf.Tensor], dict[str, tf.Tensor]]


def pixel_spec(rules: PixelRules) -> tf.TensorSpec:
    """Return the signature of a batch of pixels."""
    return tf.TensorSpec([None, rules.size, rules.size, 3], tf.uint8, "pixels")


def classifier_outputs(model: keras.Model, temperature: float) -> Outputs:
    """Return uint8 pixels -> {"probabilities", "features"}, temperature and softmax inside.

    Args:
        model: the float32 model, from uint8 pixels to logits.
        temperature: the number that logits are divided by.
    """
    inner = keras.Model(model.input, [model.output, model.get_layer(FEATURES).output])

    def outputs(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        logits, features = inner(pixels, training=False)
        return {"probabilities": tf.nn.softmax(logits / temperature), "features": features}

    return outputs


def feature_outputs(model: keras.Model) -> Outputs:
    """Return uint8 pixels -> {"features"} for a backbone, with or without its head."""
    inner = feature_model(model)
    return lambda pixels: {"features": inner(pixels, training=False)}


def freeze(outputs: Outputs, rules: PixelRules) -> Outputs:
    """Return the same function with constants for variables, which loads and saves faster."""
    run = tf.function(outputs, [pixel_spec(rules)])
    names = sorted(run.get_concrete_function().structured_outputs)  # as TensorFlow flattens them
    constant = freeze_variables(run)
    return lambda pixels: dict(zip(names, constant(pixels), strict=True))
