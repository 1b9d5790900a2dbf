"""THE decode: a file's bytes become uint8 RGB pixels here, for training and for guessing alike.

The rules: format by magic bytes; EXIF orientation applied; alpha laid on white; 16 bits scaled,
not clipped; CMYK converted; first frame of an animation; JPEGs decoded at the smallest DCT scale
that is still at least twice the input size; then fitted with antialiased bilinear resampling.
`export/saved_model.py` follows the same rules in a TensorFlow graph.
"""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from retrain.config import Fit
from retrain.data.links import broken_link

RULES_VERSION = 1  # raise it whenever the same file would give other pixels

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF")
MAX_PIXELS = 178_956_970  # where Pillow takes a picture for a decompression bomb
PAD_COLOUR = (127, 127, 127)  # mid-grey: near zero after every backbone's scaling

Pixels = NDArray[np.uint8]


class BadPicture(Exception):
    """A file that gives no pixels; the message is the reason, without the path."""


@dataclass(frozen=True)
class PixelRules:
    """What a network wants to see: a square of `size` pixels, reached by `fit`."""

    size: int
    fit: Fit

    def __str__(self) -> str:
        """Name the rules in cache keys."""
        return f"{self.fit}-{self.size}-v{RULES_VERSION}"


Box = tuple[float, float, float, float]
WHOLE: Box = (0.0, 0.0, 1.0, 1.0)  # left, upper, right, lower, as shares of the picture


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises:
        BadPicture: it cannot be opened, is no file, or is empty.
    """
    try:
        if not S_ISREG(path.stat().st_mode):
            raise BadPicture("not a regular file")  # reading a pipe would wait for ever
        content = path.read_bytes()
    except OSError as error:
        raise BadPicture(broken_link(path) or error.strerror or str(error)) from error
    except ValueError as error:  # a null character in the path
        raise BadPicture(str(error)) from error
    if not content:
        raise BadPicture("empty file")
    return content


def read_pixels(content: bytes, rules: PixelRules) -> Pixels:
    """Return the pixels that a network sees of a picture file.

    Args:
        content: the whole file.
        rules: size and fit.

    Returns:
        uint8 [size, size, 3], RGB, 0..255.

    Raises:
        BadPicture: the content is no picture that can be decoded to its end.
    """
    return fit_pixels(decode(content, 2 * rules.size), rules)


def extension(content: bytes) -> str:
    """Return the usual file name extension of a picture's format, such as ".jpg"; "" if unknown."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            name = (image.format or "").lower()
    except Exception:  # as in decode; here it is no loss
        return ""
    return {"jpeg": ".jpg", "mpo": ".jpg", "tiff": ".tif"}.get(name, f".{name}")


def decode(content: bytes, enough: int | None = None) -> Image.Image:
    """Return the picture upright, as 8-bit RGB.

    Args:
        content: the whole file.
        enough: a JPEG may be decoded smaller, as long as both sides keep this many pixels.

    Raises:
        BadPicture: the content is no picture that can be decoded to its end.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadPicture(f"{image.width}x{image.height} is too large to decode")
            if enough is not None:
                image.draft(None, (enough, enough))
            image.load()
            return _rgb(_upright(image))
    except BadPicture:
        raise
    except UnidentifiedImageError:
        start = content[:12].decode("ascii", errors="replace")
        raise BadPicture(f"no picture format that can be read (starts with {start!a})") from None
    except MemoryError:
        raise BadPicture("too large for this machine's memory") from None
    except Exception as error:  # on damaged data Pillow's decoders raise almost anything
        raise BadPicture(str(error) or type(error).__name__) from error


def fit_pixels(image: Image.Image, rules: PixelRules, part: Box = WHOLE) -> Pixels:
    """Bring an RGB picture, or a part of it, to the network's square; uint8 [size, size, 3]."""
    width, height = image.size
    left, upper, right, lower = 0.0, 0.0, float(width), float(height)
    if rules.fit == "crop":
        side = min(width, height)
        left, upper = (width - side) / 2, (height - side) / 2
        right, lower = left + side, upper + side
    box = (
        left + part[0] * (right - left),
        upper + part[1] * (lower - upper),
        left + part[2] * (right - left),
        upper + part[3] * (lower - upper),
    )
    if rules.fit == "pad":
        square = _padded(image, box, rules.size)
    else:
        square = image.resize((rules.size, rules.size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(square)


def _padded(image: Image.Image, box: Box, size: int) -> Image.Image:
    width, height = box[2] - box[0], box[3] - box[1]
    scale = size / max(width, height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    square = Image.new("RGB", (size, size), PAD_COLOUR)
    corner = ((size - inner[0]) // 2, (size - inner[1]) // 2)
    square.paste(image.resize(inner, Image.Resampling.BILINEAR, box=box), corner)
    return square


def _upright(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # a broken EXIF block says nothing about the pixels
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            return ImageOps.exif_transpose(image)
    return image  # as it is: Pillow would copy it


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        grey = np.asarray(image)
        clear = image.info.get("transparency")  # a PNG's one grey value
        image = _scaled(grey if clear is None else np.where(grey == clear, 65535, grey), 65535)
    elif image.mode in ("I", "F"):
        values = np.asarray(image, np.float64)
        if not np.isfinite(values).all():
            raise BadPicture("holds values that are not finite")
        # PPM and PNG keep 16 bits in mode I. Beyond that white is unknown: the picture's own range.
        if image.mode == "I" and values.min() >= 0 and values.max() <= 65535:
            image = _scaled(values, 65535)
        else:
            image = _scaled(values - values.min(), np.ptp(values))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _scaled(values: NDArray[np.generic], white: float) -> Image.Image:
    grey = values.astype(np.float64, copy=False) * (255.0 / (white or 1.0))
    return Image.fromarray(np.rint(grey).astype(np.uint8))
