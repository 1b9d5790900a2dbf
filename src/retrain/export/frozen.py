"""A trained model as one TensorFlow function without variables; both exports are made from it."""

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


def freeze(model: keras.Model, rules: PixelRules, temperature: float) -> Outputs:
    """Return uint8 pixels -> {"probabilities", "features"}, temperature and softmax inside.

    Weights become constants: saving hundreds of variables takes most of an export's time, and
    variables that reach the LiteRT converter can come out as reads of nothing, which answer NaN
    without an error. Who wants to train on has `model.keras`.

    Args:
        model: float32, uint8 pixels to logits.
        rules: decide the input size.
        temperature: logits are divided by it.
    """
    inner = keras.Model(model.input, [model.output, model.get_layer(FEATURES).output])

    def run(pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        logits, features = inner(pixels, training=False)
        return tf.nn.softmax(logits / temperature), features

    constant = freeze_variables(tf.function(run, [pixel_spec(rules)]))

    def outputs(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities, features = constant(pixels)
        return {"probabilities": probabilities, "features": features}

    return outputs


def freeze_features(model: keras.Model, rules: PixelRules) -> Outputs:
    """Return uint8 pixels -> {"features"}, as `freeze` does.

    Args:
        model: float32, a backbone, with or without its head.
        rules: decide the input size.
    """
    inner = feature_model(model)
    constant = freeze_variables(
        tf.function(lambda pixels: inner(pixels, training=False), [pixel_spec(rules)])
    )
    return lambda pixels: {"features": constant(pixels)[0]}
