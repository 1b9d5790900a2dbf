"""What fine-tuning starts from."""

import keras
import numpy as np
import pytest

from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.model.backbones import backbone_named
from retrain.model.build import add_head, build_backbone
from retrain.model.predict import Forward
from retrain.model.weights import Weights
from retrain.training.stages import Task, Tuning

pytestmark = pytest.mark.slow  # trains

BACKBONE = backbone_named("mobilenetv2_035")


def test_with_weights_it_starts_from_what_they_make_of_the_head() -> None:
    keras.utils.set_random_seed(0)
    network = build_backbone(BACKBONE, 32, Weights("none"))
    width = network.output_shape[-1]
    start = add_head(network, np.ones((width, 2), np.float32), np.zeros(2, np.float32))
    weights = np.array([0.5, 4.0])
    rules = PixelRules(32, "squash")
    task = Task(network, BACKBONE, rules, {}, ("often", "rare"), TrainConfig())
    tuning = Tuning(task, start, weights)
    pixels = np.full((1, 32, 32, 3), 90, np.uint8)
    gained = Forward(tuning.copy())(pixels) - Forward(start)(pixels)
    # A category that weighs twice as much seems to come twice as often.
    np.testing.assert_allclose(gained, [np.log(weights)], rtol=1e-4)
