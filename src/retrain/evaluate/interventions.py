"""Changes of pictures that take a cue away or bring it in, to see whether a model minds.

All take and return RGB pictures of any size.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageStat

from retrain.evaluate.cues import Box

Change = Callable[[Image.Image], Image.Image]
Edges = tuple[float, float, float, float]  # left, upper, right, lower, as shares of a side

MEASURED = 192  # pixels of a side at which sharpness is measured
RADII = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # of blurring, in pixels at that size
RING = 0.05  # of a side, around a box: where the colour comes from that it is painted with


def cropped(edges: Edges) -> Change:
    """Cut the edges off."""

    def change(image: Image.Image) -> Image.Image:
        left, upper, right, lower = _pixels(image, edges)
        return image.crop((left, upper, image.width - right, image.height - lower))

    return change


def framed(donor: Image.Image, edges: Edges) -> Change:
    """Lay the edges of another picture over it."""

    def change(image: Image.Image) -> Image.Image:
        left, upper, right, lower = _pixels(image, edges)
        frame = donor.resize(image.size, Image.Resampling.BILINEAR)
        inner = (left, upper, image.width - right, image.height - lower)
        frame.paste(image.crop(inner), inner[:2])
        return frame

    return change


def _pixels(image: Image.Image, edges: Edges) -> tuple[int, int, int, int]:
    sides = (image.width, image.height, image.width, image.height)
    left, upper, right, lower = (
        min(int(np.ceil(share * side)), side // 3) if share > 0 else 0
        for share, side in zip(edges, sides, strict=True)
    )
    return left, upper, right, lower


def painted_over(box: Box) -> Change:
    """Paint a place with the mean colour around it."""

    def change(image: Image.Image) -> Image.Image:
        inner, outer = _place(image, box, 0.0), _place(image, box, RING)
        mask = Image.new("L", image.size, 0)
        mask.paste(255, outer)
        mask.paste(0, inner)
        colour = tuple(int(v) for v in ImageStat.Stat(image, mask).mean) if mask.getbbox() else None
        painted = image.copy()
        painted.paste(colour or (127, 127, 127), inner)
        return painted

    return change


def patched(donor: Image.Image, box: Box) -> Change:
    """Lay a place of another picture over it."""

    def change(image: Image.Image) -> Image.Image:
        place = _place(image, box, 0.0)
        patched = image.copy()
        patched.paste(donor.resize(image.size, Image.Resampling.BILINEAR).crop(place), place[:2])
        return patched

    return change


def _place(image: Image.Image, box: Box, more: float) -> tuple[int, int, int, int]:
    return (
        max(0, int((box[0] - more) * image.width)),
        max(0, int((box[1] - more) * image.height)),
        min(image.width, int(np.ceil((box[2] + more) * image.width))),
        min(image.height, int(np.ceil((box[3] + more) * image.height))),
    )


def lit(mean: float, spread: float) -> Change:
    """Give a picture another brightness and contrast, and keep its colours."""

    def change(image: Image.Image) -> Image.Image:
        grey = np.asarray(image.convert("L"), np.float32)
        scale = spread / max(1.0, float(grey.std()))
        pixels = (np.asarray(image, np.float32) - grey.mean()) * min(scale, 4.0) + mean
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    return change


def blurred_to(target: float) -> Change:
    """Blur a picture until it is no sharper than that."""

    def change(image: Image.Image) -> Image.Image:
        scale = min(image.size) / MEASURED
        found = image
        for radius in RADII:
            if sharpness(found) <= target:
                break
            found = image.filter(ImageFilter.GaussianBlur(radius * scale))
        return found

    return change


def sharpness(image: Image.Image) -> float:
    """Return the mean step between neighbouring pixels as a share of the contrast."""
    grey: NDArray[np.float32] = np.asarray(
        image.convert("L").resize((MEASURED, MEASURED), Image.Resampling.BILINEAR), np.float32
    )
    steps = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    return float(steps / (grey.std() + 1))


def shrunk_to(side: float) -> Change:
    """Shrink a picture until its shorter side has so many pixels."""

    def change(image: Image.Image) -> Image.Image:
        scale = side / min(image.size)
        if scale >= 1:
            return image
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        return image.resize(size, Image.Resampling.BILINEAR)

    return change


def cut_to(aspect: float) -> Change:
    """Cut a picture's middle out, of another width by height."""

    def change(image: Image.Image) -> Image.Image:
        width = min(image.width, max(1, round(image.height * aspect)))
        height = min(image.height, max(1, round(image.width / aspect)))
        left, upper = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, upper, left + width, upper + height))

    return change


def compressed(image: Image.Image, quality: int = 75) -> Image.Image:
    """Return what a JPEG file keeps of a picture."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")
