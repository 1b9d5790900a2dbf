"""Small classifiers whose BatchNorm has statistics as after a training."""

import keras
import numpy as np

from retrain.model.backbones import backbone_named
from retrain.model.build import add_head, build_backbone, dtype_policy, free_last_groups
from retrain.model.weights import Weights

CATEGORIES = 3


def classifier(name: str, size: int, *, groups: int = 5, policy: str = "float32") -> keras.Model:
    """Return a classifier with random weights, its last layer groups free."""
    backbone, rng = backbone_named(name), np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    with dtype_policy(policy):
        network = build_backbone(backbone, size, Weights("none"))
        head = rng.normal(size=(network.output_shape[-1], CATEGORIES)).astype(np.float32)
        model = add_head(network, head, np.zeros(CATEGORIES, np.float32))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([statistic(rng, v) for v in layer.weights])
    free_last_groups(model, backbone, groups)
    return model


def statistic(rng: np.random.Generator, variable: keras.Variable) -> np.ndarray:
    """Return a scale or variance about 1, an offset or mean about 0."""
    shape = tuple(variable.shape)
    if variable.name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape)
    return rng.normal(0, 0.2, shape)


def pixels(size: int, count: int = 4) -> np.ndarray:
    """Return random uint8 [count, size, size, 3]."""
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
