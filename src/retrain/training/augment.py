"""Random views of training pictures, the same for the same seed, epoch and picture.

What varies, and how much, follows fastai's `aug_transforms`: a view is a random part of the
picture, mirrored, turned, zoomed, seen from another angle, in another light. Where it reaches
beyond the picture, the picture is continued as in a mirror. Strong augmentation also covers a part
and blends pictures.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain.config import Augment, AugmentConfig
from retrain.data.images import PixelRules, Pixels, fit_pixels

RATIOS = (3 / 4, 4 / 3)  # shape of a crop, relative to the picture's own (Szegedy et al. 2015)
SHARE = 0.75  # share of the views that are turned, zoomed and warped; as many are lit differently
ERASED_AREAS = (0.02, 0.2)  # smallest and largest share that is covered (Zhong et al. 2017)
SOURCE = 288 / 224  # shorter side of what views are made of, relative to a view's
SHRUNK = 1.25  # times that: pictures that are hardly larger stay as they are
MIXUP_ALPHA = 0.4  # both parameters of MixUp's beta distribution (Zhang et al. 2017)


@dataclass(frozen=True)
class Strength:
    """How far each kind of variation goes; 0 leaves it out (crop_area: 1).

    crop_area: the smallest share of a picture that a random crop keeps.
    flip: the probability of a mirrored view.
    rotate: the largest angle in degrees, to both sides.
    zoom: by how much a view may be larger or smaller; .1 is 10 %.
    warp: how far a corner may move, as a share of half a side.
    light: the largest change of brightness and of contrast, as a share.
    erase: the probability that a rectangle is covered.
    mix: the probability that a batch is blended by MixUp or CutMix.
    """

    crop_area: float = 1.0
    flip: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    warp: float = 0.0
    light: float = 0.0
    erase: float = 0.0
    mix: float = 0.0


STRENGTHS: dict[Augment, Strength] = {
    "none": Strength(),
    "light": Strength(crop_area=0.5, flip=0.5),
    "standard": Strength(crop_area=0.5, flip=0.5, rotate=10.0, zoom=0.1, warp=0.1, light=0.2),
    "strong": Strength(
        crop_area=0.35, flip=0.5, rotate=15.0, zoom=0.2, warp=0.15, light=0.4, erase=0.25, mix=0.5
    ),
}


def strength(config: AugmentConfig) -> Strength:
    """Return what a configuration asks for: its strength without what is switched off."""
    chosen = STRENGTHS[config.strength]
    still = Strength()
    kinds = {"crop_area": config.crop} | {
        kind: getattr(config, kind)
        for kind in ("flip", "rotate", "zoom", "warp", "light", "erase", "mix")
    }
    return Strength(**{kind: getattr(chosen if on else still, kind) for kind, on in kinds.items()})


def source_of_views(image: Image.Image, rules: PixelRules, how: Strength) -> Image.Image:
    """Return a picture as views are made of it: a large one is shrunk first.

    Its shorter side keeps 1.3 times the size of a view, as it usually does where views are cropped
    (Touvron et al. 2019, https://arxiv.org/abs/1906.06423, train at 288 pixels and less for 224).
    Where no view is cropped, the picture stays as it is, and views are what guesses see.

    Args:
        image: upright RGB, as it was decoded.
        rules: the size of the views.
        how: how far they vary.
    """
    shorter = round(SOURCE * rules.size)
    if how.crop_area == 1.0 or min(image.size) <= SHRUNK * shorter:
        return image
    scale = shorter / min(image.size)
    size = round(image.width * scale), round(image.height * scale)
    return image.resize(size, Image.Resampling.BILINEAR)


def random_view(
    image: Image.Image, rules: PixelRules, how: Strength, seed: int, epoch: int, sha256: str
) -> Pixels:
    """Return a random view of a picture, uint8 [size, size, 3].

    The random numbers follow from (seed, epoch, picture) alone, so that an interrupted training
    sees what an uninterrupted one would have seen.

    Args:
        image: of `source_of_views`.
        rules: size and fit of the view.
        how: how far the view may vary.
        seed: the seed of the training.
        epoch: the number of the epoch, from 1.
        sha256: the digest of the content, in hexadecimal.
    """
    rng = np.random.default_rng((seed, epoch, int(sha256[:16], 16)))
    pixels = fit_pixels(image, rules, random_box(rng, how.crop_area))
    if rng.random() < how.flip:
        pixels = pixels[:, ::-1]
    if rng.random() < SHARE and (how.rotate or how.zoom or how.warp):
        pixels = _seen_through(pixels, random_corners(rng, how))
    if rng.random() < SHARE and how.light:
        pixels = _lit(pixels, rng, how.light)
    if rng.random() < how.erase:
        pixels = _covered(pixels, rng)
    return np.ascontiguousarray(pixels)


def random_box(rng: np.random.Generator, smallest: float) -> tuple[float, float, float, float]:
    """Return left, upper, right and lower edge of a random crop, as shares (0..1) of a picture."""
    area = rng.uniform(smallest, 1.0)
    stretch = math.sqrt(math.exp(rng.uniform(math.log(RATIOS[0]), math.log(RATIOS[1]))))
    if smallest == 1.0:
        return (0.0, 0.0, 1.0, 1.0)
    side = math.sqrt(area)
    width, height = min(1.0, side * stretch), min(1.0, side / stretch)
    left, upper = rng.uniform(0.0, 1.0 - width), rng.uniform(0.0, 1.0 - height)
    return (left, upper, left + width, upper + height)


def random_corners(rng: np.random.Generator, how: Strength) -> NDArray[np.float64]:
    """Return where the corners of a view lie in the picture, turned, zoomed and warped.

    Returns:
        float [4, 2], x and y of each corner, upper left first, clockwise; in half sides from the
        centre, so that the picture itself has its corners at -1 and 1.
    """
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    corners += rng.uniform(-how.warp, how.warp, (4, 2))
    corners *= math.exp(rng.uniform(-1, 1) * math.log1p(how.zoom))
    angle = math.radians(rng.uniform(-how.rotate, how.rotate))
    turn = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
    return np.asarray(corners @ np.array(turn))


def _seen_through(pixels: Pixels, corners: NDArray[np.float64]) -> Pixels:
    """Show what lies between four corners; beyond the picture lies its reflection."""
    size = len(pixels)
    beyond = min(size - 1, math.ceil(max(0.0, np.abs(corners).max() - 1) * size / 2) + 1)
    wide = np.pad(pixels, ((beyond, beyond), (beyond, beyond), (0, 0)), mode="reflect")
    source = (corners + 1) * size / 2 + beyond
    view = np.array([[0, 0], [size, 0], [size, size], [0, size]], np.float64)
    image = Image.fromarray(wide).transform(
        (size, size),
        Image.Transform.PERSPECTIVE,
        _homography(view, source),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(image)


def _homography(start: NDArray[np.float64], end: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the perspective that maps four points onto four others, as Pillow's eight numbers."""
    rows, values = [], []
    for (x, y), (u, v) in zip(start, end, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(np.linalg.solve(np.array(rows), np.array(values)))


def _lit(pixels: Pixels, rng: np.random.Generator, most: float) -> Pixels:
    """Change contrast (around mid-grey) and brightness."""
    contrast = math.exp(rng.uniform(-1, 1) * math.log1p(most))
    brightness = rng.uniform(-most, most) * 127.5
    table = (np.arange(256) - 127.5) * contrast + 127.5 + brightness
    return np.asarray(np.clip(np.rint(table), 0, 255).astype(np.uint8)[pixels])


def _covered(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Cover a random rectangle with noise."""
    size = len(pixels)
    area, shape = rng.uniform(*ERASED_AREAS), math.exp(rng.uniform(-1.0, 1.0))
    width = min(size, max(1, round(size * math.sqrt(area * shape))))
    height = min(size, max(1, round(size * math.sqrt(area / shape))))
    left, upper = rng.integers(0, size - width + 1), rng.integers(0, size - height + 1)
    pixels = pixels.copy()
    pixels[upper : upper + height, left : left + width] = rng.integers(
        0, 256, (height, width, 3), np.uint8
    )
    return pixels


def mixed(
    pixels: Pixels, targets: NDArray[np.float32], rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.float32]]:
    """Blend each picture of a batch with its neighbour, by MixUp or by CutMix.

    Args:
        pixels: uint8 [n, size, size, 3].
        targets: float32 [n, k], rows sum to 1.
        rng: decides how they are blended.

    Returns:
        The blended pixels, and targets in the proportion of the pixels.
    """
    others, other_targets = np.roll(pixels, 1, axis=0), np.roll(targets, 1, axis=0)
    if rng.random() < 0.5:
        weight = rng.beta(MIXUP_ALPHA, MIXUP_ALPHA)
        blend = pixels * np.float32(weight) + others * np.float32(1 - weight)
        pixels = np.rint(blend).astype(np.uint8)
    else:  # CutMix (Yun et al. 2019): a rectangle of the neighbour
        size = pixels.shape[1]
        side = round(size * math.sqrt(rng.uniform(0.0, 1.0)))
        left, upper = rng.integers(0, size - side + 1, 2)
        pixels = pixels.copy()
        window = (slice(None), slice(upper, upper + side), slice(left, left + side))
        pixels[window] = others[window]
        weight = 1 - (side / size) ** 2
    return pixels, (weight * targets + (1 - weight) * other_targets).astype(np.float32)
