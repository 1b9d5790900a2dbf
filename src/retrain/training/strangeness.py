"""How far pictures lie from those that a fine-tuned model has learned from, in its own features."""

import keras
import numpy as np

from retrain.data.images import PixelRules
from retrain.infer.familiar import Array, distances, reference_rows, spread
from retrain.model.build import feature_model
from retrain.model.predict import Forward, predict_logits
from retrain.training.labelled import Labelled


def distances_of_judges(
    model: keras.Model, rules: PixelRules, learned: Labelled, judges: Labelled
) -> Array:
    """Return the distances of pictures that a model has not learned from, float32 [n].

    They are in the unit of `infer.familiar.spread`, so that another model can take them over.

    Args:
        model: a float32 classifier, from uint8 pixels to logits.
        rules: how pictures become its pixels.
        learned: what it learned from.
        judges: what it did not.
    """
    forward = Forward(feature_model(model), constant=True)
    some = learned.some(reference_rows(learned.labels))
    known, found = (
        predict_logits(forward, [picture.path for picture in part.pictures], rules)
        for part in (some, judges)
    )
    return distances(found, known) / np.float32(spread(known))
