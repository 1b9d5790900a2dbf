"""What is remembered of a picture to find its relatives: a record of fixed size, without its file.

Records are made while a picture is decoded anyway and can be kept by content, as features are.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

FINGERPRINT_VERSION = 2  # raise it whenever the same pixels would give another record

GREY = 64  # sides of the thumbnails, in pixels
COLOUR = 16
NO_TIME = -1
WHOLE_SIDE = 255  # `border` counts in this many parts of a side

FINGERPRINT = np.dtype(
    [
        ("digest", "V16"),  # of size and pixels
        ("width", "<u4"),  # as decoded
        ("height", "<u4"),
        ("taken", "<i8"),  # seconds on the camera's clock, NO_TIME where it is not known
        ("border", "u1", 4),  # how wide a plain border is: left, upper, right, lower
        ("grey", "u1", (GREY, GREY)),  # squashed, whatever the picture's shape
        ("colour", "u1", (COLOUR, COLOUR, 2)),  # Cb and Cr, as above
    ]
)

Fingerprints = NDArray[np.void]  # of FINGERPRINT

PLAIN = 8  # of 255: how far a plain border's pixels may be from its colour, but for a few
PLAIN_SHARE = 0.95  # of a row's pixels that must be so near
EDGE = 24  # of 255: mean step from a border to the picture, which a sky does not have
BLURRED = 2  # rows between the two, where a file was compressed
BORDER_MOST = 0.2  # of a side

STRIP = 16  # rows or columns looked at together: a copy of the whole would take its memory again
Edge = Literal["left", "upper", "right", "lower"]
EDGES: tuple[Edge, ...] = get_args(Edge)  # in the order of `border`


def describe(image: Image.Image, exif: Image.Exif | None = None) -> np.void:
    """Return a picture's record.

    Args:
        image: upright RGB, at whatever size it was decoded.
        exif: of its file; None for what Pillow kept with the image.

    Returns:
        One FINGERPRINT.
    """
    record = np.zeros((), FINGERPRINT)
    record["digest"] = _digest(image)
    record["width"], record["height"] = image.size
    record["taken"] = _taken(image.getexif() if exif is None else exif)
    record["border"] = [_border(image, edge) for edge in EDGES]
    record["grey"] = np.asarray(_shrunk(image, GREY).convert("L"))
    record["colour"] = np.asarray(_shrunk(image, COLOUR).convert("YCbCr"))[..., 1:]
    single: np.void = record[()]  # type: ignore[assignment]
    return single


def _digest(image: Image.Image) -> bytes:
    """Return what size and pixels have in common with no other picture."""
    width, height = image.size
    digest = hashlib.blake2b(repr((height, width, 3)).encode(), digest_size=16)
    for top in range(0, height, STRIP):
        digest.update(image.crop((0, top, width, min(top + STRIP, height))).tobytes())
    return digest.digest()


def _taken(exif: Image.Exif) -> int:
    """Return when the picture was taken; the time of the last change would be the editor's."""
    with contextlib.suppress(Exception):  # a broken EXIF block is none
        details = exif.get_ifd(ExifTags.IFD.Exif)
        text = details.get(ExifTags.Base.DateTimeOriginal) or details.get(
            ExifTags.Base.DateTimeDigitized
        )
        moment = datetime.strptime(str(text).strip("\0 "), "%Y:%m:%d %H:%M:%S")
        return max(NO_TIME, int(moment.replace(tzinfo=UTC).timestamp()))
    return NO_TIME


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.Resampling.BILINEAR)  # antialiased


def _border(image: Image.Image, edge: Edge) -> int:
    """Return the width of a plain border, in parts of WHOLE_SIDE; most often a few lines decide."""
    side = image.width if edge in ("left", "right") else image.height
    most = int(BORDER_MOST * side)
    plain, away = [], []
    for distances in _distances(image, edge, most + BLURRED + 1):
        plain += ((distances <= PLAIN).mean(axis=1) >= PLAIN_SHARE).tolist()
        away += distances.mean(axis=1).tolist()
        if not all(plain[: len(plain) - BLURRED]):
            break
    width = plain.index(False) if False in plain else most + 1
    if not 0 < width <= most:
        return 0  # plain for too long is a background, and no border
    far = [step >= EDGE for step in away[width : width + BLURRED + 1]]
    return round((width + far.index(True)) / side * WHOLE_SIDE) if any(far) else 0


def _distances(image: Image.Image, edge: Edge, count: int) -> Iterator[NDArray[np.int16]]:
    """Yield how far the pixels of the first lines are from the colour of the outermost one.

    Args:
        image: RGB.
        edge: lines are columns or rows, from there inwards.
        count: of lines, as far as there are so many.

    Returns:
        Blocks int16 [some lines, their length], of the channel that is farthest.
    """
    width, height = image.size
    upright = edge in ("left", "right")
    side = width if upright else height
    colour = None
    for start in range(0, min(count, side), STRIP):
        stop = min(start + STRIP, count, side)
        low, high = (start, stop) if edge in ("left", "upper") else (side - stop, side - start)
        strip = image.crop((low, 0, high, height) if upright else (0, low, width, high))
        lines = np.asarray(strip, np.int16)
        lines = lines.transpose(1, 0, 2) if upright else lines
        lines = lines if edge in ("left", "upper") else lines[::-1]
        if colour is None:
            colour = np.rint(np.median(lines[0], axis=0)).astype(np.int16)
        yield np.abs(lines - colour).max(axis=2)
