"""What is remembered of a picture to find its relatives: a record of fixed size, without its file.

Records are made while a picture is decoded anyway and can be kept by content, as features are.
"""

import contextlib
import hashlib
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

FINGERPRINT_VERSION = 1  # raise it whenever the same pixels would give another record

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


def describe(image: Image.Image, exif: Image.Exif | None = None) -> np.void:
    """Return a picture's record.

    Args:
        image: upright RGB, at whatever size it was decoded.
        exif: of its file; None for what Pillow kept with the image.

    Returns:
        One FINGERPRINT.
    """
    record = np.zeros((), FINGERPRINT)
    rgb = np.asarray(image)
    record["digest"] = _digest(rgb)
    record["width"], record["height"] = image.size
    record["taken"] = _taken(image.getexif() if exif is None else exif)
    record["border"] = _borders(rgb)
    record["grey"] = np.asarray(_shrunk(image.convert("L"), GREY))
    record["colour"] = np.asarray(_shrunk(image, COLOUR).convert("YCbCr"))[..., 1:]
    single: np.void = record[()]  # type: ignore[assignment]
    return single


def _digest(rgb: NDArray[np.uint8]) -> bytes:
    digest = hashlib.blake2b(repr(rgb.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(rgb).data)
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


def _borders(rgb: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return the widths of plain borders, left, upper, right, lower, in parts of WHOLE_SIDE."""
    turned = rgb.transpose(1, 0, 2)
    return _border(turned), _border(rgb), _border(turned[::-1]), _border(rgb[::-1])


def _border(rgb: NDArray[np.uint8]) -> int:
    """Return the width of the upper border."""
    most = int(BORDER_MOST * len(rgb))
    rows = rgb[: most + BLURRED + 1]
    away = np.abs(rows - np.median(rows[0], axis=0)).max(axis=2)
    other = (away <= PLAIN).mean(axis=1) < PLAIN_SHARE
    if not other.any() or (width := int(np.argmax(other))) > most or not width:
        return 0  # plain for too long is a background, and no border
    far = away[width : width + BLURRED + 1].mean(axis=1) >= EDGE
    return round((width + int(np.argmax(far))) / len(rgb) * WHOLE_SIDE) if far.any() else 0
