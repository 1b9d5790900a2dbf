"""Draws scenes with texture, which differ from one another as photographs do, and their copies."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from scipy.ndimage import gaussian_filter

SIZE = (180, 132)


def scene(seed: int, size: tuple[int, int] = SIZE, shift: float = 0.0) -> Image.Image:
    """Return an RGB picture of a ground, clouds of several sizes and a few things in front.

    shift: how far each thing has moved at most, as a share of the width; the rest stands still.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    ground = np.zeros((height, width, 3))
    for blur, strength in ((40, 900), (14, 260), (5, 80), (1.5, 22)):
        noise = rng.normal(size=(height, width, 3))
        ground += strength * gaussian_filter(noise, (blur, blur, 0))
    ground += rng.uniform(60, 190, 3)
    image = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(4, 9))):
        colour = tuple(int(value) for value in rng.integers(20, 236, 3))
        corner = rng.uniform(0, 0.8, 2) + shift * rng.uniform(-1, 1, 2)
        extent = rng.uniform(0.08, 0.4, 2)
        left, upper = corner * size
        right, lower = (corner + extent) * size
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape((left, upper, right, lower), fill=colour)
    return image


def as_jpeg(image: Image.Image, quality: int = 90) -> Image.Image:
    """Return what a JPEG file gives back of a picture."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def _halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BILINEAR)


def _cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    return image.crop((round(0.05 * width), round(0.02 * height), width, round(0.97 * height)))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "compressed": lambda image: as_jpeg(image, 60),
    "halved": lambda image: as_jpeg(_halved(image)),
    "cropped": lambda image: as_jpeg(_cropped(image)),
    "brightened": lambda image: as_jpeg(ImageEnhance.Brightness(image).enhance(1.25)),
    "darkened": lambda image: as_jpeg(ImageEnhance.Brightness(image).enhance(0.6)),
    "bordered": lambda image: as_jpeg(ImageOps.expand(image, 9, (255, 255, 255))),
}
