"""How far pictures lie from those that a fine-tuned model has learned from, in its own features."""

import numpy as np

from retrain.infer.familiar import Array, distances, reference_rows
from retrain.model.build import feature_model
from retrain.model.classifier import Classifier
from retrain.model.predict import Forward, predict_logits
from retrain.training.labelled import Labelled


def distances_of_judges(classifier: Classifier, learned: Labelled, judges: Labelled) -> Array:
    """Return the distances of pictures that a model has not learned from, float32 [n].

    They are kept for a model that learns once more, from all pictures: nothing is left then that it
    has not seen, and distances of what a network has learned from are shorter than those of news.

    Args:
        classifier: the model that was judged.
        learned: what it learned from.
        judges: what it did not.
    """
    forward = Forward(feature_model(classifier.network), constant=True)
    some = learned.some(reference_rows(learned.labels))
    known, found = (
        predict_logits(forward, [picture.path for picture in part.pictures], classifier.rules)
        for part in (some, judges)
    )
    return distances(np.asarray(found), known)
