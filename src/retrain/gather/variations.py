"""Six ways to vary a picture, so that few of a kind teach more. Pure: pixels in, pixels out.

They are those by which the authors of an article on films upsampled drawings among frames: grey,
inverted, with Poisson noise, with its intensity rescaled, and adjusted by a logarithm and a
sigmoid. scikit-image has them all.
"""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.errors import MachineError

Pixels = NDArray[np.uint8]

PERCENTILES = (2, 98)  # of the values, which become black and white where intensity is rescaled


def need_scikit_image() -> None:
    """Refuse to go on without it.

    Raises:
        MachineError: it is not installed.
    """
    if importlib.util.find_spec("skimage") is None:
        raise MachineError(
            "Variations need scikit-image, which is not installed. `pip install 'retrain[vary]'` "
            "brings it."
        )


def vary(pixels: Pixels, kind: str, seed: int) -> Pixels:
    """Return a variation of a picture, uint8 [h, w, 3].

    Args:
        pixels: uint8 [h, w, 3], RGB.
        kind: one of KINDS.
        seed: of the noise.
    """
    from skimage.util import img_as_float, img_as_ubyte

    found = KINDS[kind](img_as_float(pixels), seed)
    return np.ascontiguousarray(img_as_ubyte(np.clip(found, 0.0, 1.0)))


def _grey(image: Any, _: int) -> Any:
    from skimage.color import gray2rgb, rgb2gray

    return gray2rgb(rgb2gray(image))


def _inverted(image: Any, _: int) -> Any:
    from skimage.util import invert

    return invert(image)


def _poisson(image: Any, seed: int) -> Any:
    from skimage.util import random_noise

    return random_noise(image, mode="poisson", rng=seed)


def _rescaled(image: Any, _: int) -> Any:
    from skimage.exposure import rescale_intensity

    low, high = np.percentile(image, PERCENTILES)
    return rescale_intensity(image, in_range=(low, max(high, low + 1 / 255)), out_range=(0.0, 1.0))


def _logarithmic(image: Any, _: int) -> Any:
    from skimage.exposure import adjust_log

    return adjust_log(image)


def _sigmoid(image: Any, _: int) -> Any:
    from skimage.exposure import adjust_sigmoid

    return adjust_sigmoid(image)


KINDS: dict[str, Callable[[Any, int], Any]] = {
    "grey": _grey,
    "inverted": _inverted,
    "poisson": _poisson,
    "rescaled": _rescaled,
    "logarithmic": _logarithmic,
    "sigmoid": _sigmoid,
}
