"""Draws the pictures that tests use: real files, small, the same every time."""

import io
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageDraw

CATEGORIES = ("disc", "stripes", "squares")
PAIRS = ("red above", "blue above")
RED_AND_BLUE = ((220, 40, 40), (40, 40, 220))
STORED = {  # how an upright picture is stored under each EXIF orientation
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def draw(category: str, seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """Return an RGB picture of one of CATEGORIES; anything else gives coloured noise."""
    rng = np.random.default_rng((seed, sum(category.encode())))
    noise = rng.integers(0, 256, (size[1], size[0], 3))
    if category not in CATEGORIES:
        return Image.fromarray(noise.astype(np.uint8))
    ground = rng.integers(0, 200, 3)
    image = Image.fromarray((0.8 * ground + 0.2 * noise).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    colour = tuple(int(value) for value in rng.integers(60, 256, 3))
    left, upper = int(rng.integers(0, size[0] // 3)), int(rng.integers(0, size[1] // 3))
    extent = int(rng.integers(min(size) // 3, min(size) // 2 + 8))
    if category == "disc":
        pen.ellipse((left, upper, left + extent, upper + extent), fill=colour)
    elif category == "stripes":
        for x in range(left % 12, size[0], 12):
            pen.line((x, 0, x, size[1]), fill=colour, width=5)
    else:
        for x in range(0, size[0], 20):
            for y in range((x // 20 % 2) * 10, size[1], 20):
                pen.rectangle((x, y, x + 9, y + 9), fill=colour)
    return image


def draw_pair(kind: str, seed: int, size: int = 64) -> Image.Image:
    """Return a red and a blue square, one above the other: "red above" or "blue above".

    Averaged features of ImageNet hardly tell which is where; fine-tuned ones soon do.
    """
    rng = np.random.default_rng((seed, sum(kind.encode())))
    noise = rng.integers(0, 256, (size, size, 3))
    image = Image.fromarray((0.8 * rng.integers(30, 226, 3) + 0.2 * noise).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    left, upper = (int(rng.integers(2, end)) for end in (40, 14))
    side, gap = int(rng.integers(14, 18)), int(rng.integers(2, 10))
    for colour in RED_AND_BLUE if kind == PAIRS[0] else reversed(RED_AND_BLUE):
        pen.rectangle((left, upper, left + side, upper + side), fill=colour)
        upper += side + gap
    return image


def with_orientation(orientation: int) -> Image.Exif:
    """Return an EXIF block that says how a picture is stored."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    """Return a picture file of Pillow's format `name`, or a "HEIF", which is kept lossless."""
    file = io.BytesIO()
    if name == "HEIF":
        pillow_heif.from_pillow(image).save(file, quality=-1, chroma=444, **options)
    else:
        image.save(file, name, **options)
    return file.getvalue()


def write_jpegs(folder: Path, category: str, count: int, start: int = 0) -> list[Path]:
    """Write `count` JPEGs of a category to `folder/<category>/` and return their paths."""
    place = folder / category
    place.mkdir(parents=True, exist_ok=True)
    paths = [place / f"{category}-{start + i:03d}.jpg" for i in range(count)]
    drawn = draw_pair if category in PAIRS else draw
    for i, path in enumerate(paths):
        drawn(category, start + i).save(path, quality=90)
    return paths


def write_workspace(root: Path, each: int, categories: tuple[str, ...] = CATEGORIES) -> Path:
    """Write `root/data/<category>/` with `each` JPEGs a category and return `root`."""
    for category in categories:
        write_jpegs(root / "data", category, each)
    return root
