"""Heat maps without TensorFlow: they are those of Grad-CAM, where the network allows them."""

from pathlib import Path

import numpy as np
import pytest

from retrain.evaluate.interpret import Interpreter
from retrain.infer.activation import open_activation
from retrain.infer.model import Model
from retrain.model.classifier import load_classifier
from retrain.workspace import open_run


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return Model(open_run(trained), precision="float32")


def test_the_map_is_that_of_grad_cam(model: Model, trained: Path) -> None:
    activation = open_activation(model.run.litert, len(model.categories))
    assert activation is not None
    interpreter = Interpreter(load_classifier(model.run).network)
    for name in ("disc/disc-000.jpg", "squares/squares-001.jpg"):
        pixels = model.pixels(trained / "data" / name)
        category = model.categories.index(name.split("/")[0])
        ours = activation.heat(pixels, category)
        theirs = interpreter.heat("gradcam", pixels[np.newaxis], [category])[0]
        assert ours.shape == theirs.shape == pixels.shape[:2]
        assert ours.max() == pytest.approx(1, abs=0.05)
        assert (
            np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.95
        )  # they enlarge 4 x 4 places in different ways


def test_the_average_of_the_map_is_the_logit(model: Model, trained: Path) -> None:
    activation = open_activation(model.run.litert, len(model.categories))
    assert activation is not None
    pixels = model.pixels(trained / "data" / "disc" / "disc-000.jpg")
    maps, features = activation.maps(pixels)
    np.testing.assert_allclose(maps.mean(axis=(0, 1)), features, atol=1e-3)


def test_a_network_of_another_kind_has_none(model: Model) -> None:
    assert open_activation(model.run.litert, 99) is None  # there is no head of that size
