"""What speaks for a category, by a model that looks at one corner alone."""

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.evaluate.occlusion import occlusion

SIZE = 64


def corner_model(pixels: Pixels) -> NDArray[np.float32]:
    """Return the chance of "bright corner", and of the contrary, by the upper left quarter."""
    bright = pixels[:, : SIZE // 4, : SIZE // 4].mean(axis=(1, 2, 3)) / 255
    return np.stack([bright, 1 - bright], axis=1).astype(np.float32)


def picture() -> Pixels:
    pixels = np.full((SIZE, SIZE, 3), 20, np.uint8)
    pixels[: SIZE // 4, : SIZE // 4] = 250
    return pixels


def test_heat_is_where_the_model_looks() -> None:
    heat = occlusion(corner_model, picture(), 0)
    assert heat.shape == (SIZE, SIZE)
    assert heat.dtype == np.float32
    assert heat.max() == 1
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert max(row, column) < SIZE // 4
    assert heat[SIZE // 2 :, SIZE // 2 :].max() < 0.05


def test_what_nothing_speaks_for_stays_cold() -> None:
    assert (occlusion(corner_model, picture(), 1) == 0).all()
    assert (
        occlusion(lambda pixels: np.full((len(pixels), 2), 0.5, np.float32), picture(), 0) == 0
    ).all()
