"""THE decode: a file's bytes become uint8 RGB pixels here, for training and for guessing alike.

The rules: format by magic bytes; EXIF orientation applied; alpha laid on white; 16 bits scaled,
not clipped; CMYK converted; first frame of an animation; JPEGs decoded at the smallest DCT scale
that is still at least twice the input size; then fitted with antialiased bilinear resampling. A
camera's raw file is no picture, though Pillow would read the preview in it.
`export/saved_model.py` follows the same rules in a TensorFlow graph.
"""

import contextlib
import functools
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, ImageOps, JpegImagePlugin, UnidentifiedImageError

from retrain.config import Fit
from retrain.data.kinds import RAW, START, other_kind, possible_formats
from retrain.data.links import broken_link

RULES_VERSION = 2  # raise it whenever the same file would give other pixels, or none any more

MAX_BYTES = 256 << 20  # of a file; each thread holds one
MAX_PIXELS = 178_956_970  # where Pillow takes a picture for a decompression bomb
STRIP = 256  # rows converted together
PAD_COLOUR = (127, 127, 127)  # mid-grey: near zero after every backbone's scaling

Pixels = NDArray[np.uint8]


_NO_MEMORY = "too large for this machine's memory"


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
    """Return a picture file's content; of anything else no more than the first bytes are read.

    Raises:
        BadPicture: it cannot be opened, is no picture, or has more than MAX_BYTES.
    """
    try:
        with _picture_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise BadPicture(
                    f"{size / 2**20:,.0f} MiB; pictures above {MAX_BYTES >> 20} MiB are not read"
                )
            return file.read(size)
    except MemoryError:
        raise BadPicture(_NO_MEMORY) from None


def is_picture(path: Path) -> bool:
    """Tell whether a file begins like a picture; no more of it is read."""
    with contextlib.suppress(BadPicture), _picture_file(path):
        return True
    return False


@contextlib.contextmanager
def _picture_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that begins like a picture; what goes wrong with it is a BadPicture."""
    try:
        if not S_ISREG(path.stat().st_mode):
            raise BadPicture("not a regular file")  # reading a pipe would wait for ever
        with path.open("rb") as file:
            start = file.read(START)
            if not start:
                raise BadPicture("empty file")
            if not possible_formats(start):
                raise BadPicture(other_kind(start))
            file.seek(0)
            yield file
    except OSError as error:
        raise BadPicture(broken_link(path) or error.strerror or str(error)) from error
    except ValueError as error:  # a null character in the path
        raise BadPicture(str(error)) from error


def read_pixels(content: bytes, rules: PixelRules, most: int = MAX_PIXELS) -> Pixels:
    """Return the pixels that a network sees of a picture file.

    Args:
        content: the whole file.
        rules: size and fit.
        most: pixels that are decoded; a larger picture is refused.

    Returns:
        uint8 [size, size, 3], RGB, 0..255.

    Raises:
        BadPicture: the content is no picture that can be decoded to its end.
    """
    try:
        return fit_pixels(decode(content, 2 * rules.size, most), rules)
    except MemoryError:
        raise BadPicture(_NO_MEMORY) from None


@contextlib.contextmanager
def opened_header(path: Path) -> Iterator[Image.Image]:
    """Open a picture file as far as its header; its pixels are not decoded.

    Raises:
        BadPicture: it is no picture. Whatever Pillow raises for a damaged one.
    """
    with _picture_file(path) as file:
        formats = possible_formats(file.read(START))
        if "HEIF" in formats:
            _know_heif()
        file.seek(0)
        with Image.open(file, formats=formats) as image:
            yield image


def extension(content: bytes) -> str:
    """Return the usual file name extension of a picture's format, such as ".jpg"; "" if unknown."""
    try:
        with _opened(content) as image:
            name = (image.format or "").lower()
    except Exception:  # as in decode; here it is no loss
        return ""
    usual = {"jpeg": ".jpg", "mpo": ".jpg", "tiff": ".tif", "heif": ".heic"}
    return usual.get(name, f".{name}")


def decode(content: bytes, enough: int | None = None, most: int = MAX_PIXELS) -> Image.Image:
    """Return the picture upright, as 8-bit RGB.

    Args:
        content: the whole file.
        enough: a JPEG may be decoded smaller, as long as both sides keep this many pixels.
        most: pixels that are decoded, MAX_PIXELS or fewer.

    Raises:
        BadPicture: the content is no picture that can be decoded to its end.
    """
    try:
        # In two steps: what the first converts from is gone before the second begins.
        return _rgb(_loaded(content, enough, most))
    except BadPicture:
        raise
    except MemoryError:
        raise BadPicture(_NO_MEMORY) from None
    except Exception as error:  # on damaged data Pillow's decoders raise almost anything
        raise BadPicture(" ".join(str(error).split()) or type(error).__name__) from error


def _loaded(content: bytes, enough: int | None, most: int) -> Image.Image:
    """Return the picture upright, with 8 bits a channel."""
    with _opened(content) as image:
        _refuse_raw(image)
        whole = image.size
        if enough is not None and not (_is_bomb(image, most) and _held_whole(image)):
            image.draft(None, (enough, enough))
        if _is_bomb(image, most):
            raise BadPicture(f"{whole[0]}x{whole[1]} is too large to decode")
        image.load()
        return _eight_bits(_upright(image))


def _opened(content: bytes) -> ImageFile.ImageFile:
    """Read a picture's header."""
    formats = possible_formats(content[:START])
    if "HEIF" in formats:
        _know_heif()
    try:
        if formats:
            return Image.open(io.BytesIO(content), formats=formats)
    except UnidentifiedImageError:
        pass
    except Image.DecompressionBombError:
        if formats != ("JPEG",):
            raise
        # Without Pillow's limit: ours looks at the size that is decoded.
        return JpegImagePlugin.JpegImageFile(io.BytesIO(content))
    if not formats:
        raise BadPicture(other_kind(content[:START]))
    remedy = f"; or it is {RAW}" if "TIFF" in formats else ""
    raise BadPicture(f"begins like {' or '.join(formats)}, but cannot be read{remedy}")


@functools.cache
def _know_heif() -> None:
    """Let Pillow open HEIC and HEIF; a guess of a JPEG need not import it."""
    import pi_heif

    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _refuse_raw(image: ImageFile.ImageFile) -> None:
    """Refuse a TIFF that is a camera's raw file, whose first picture is a preview of the others."""
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    preview = tags.get(ExifTags.Base.NewSubfileType, 0) & 1
    if ExifTags.Base.DNGVersion in tags or (preview and ExifTags.Base.SubIFDs in tags):
        raise BadPicture(RAW)


def _is_bomb(image: ImageFile.ImageFile, most: int) -> bool:
    return image.width * image.height > most


def _held_whole(image: ImageFile.ImageFile) -> bool:
    """Tell whether libjpeg holds all of a JPEG in memory, however small it is decoded.

    It does so where the picture comes in several scans: progressive, or a colour at a time.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.fp is None:
        return False
    # The header was read to the end of the first scan's: 1 + 2 * colours + 3 bytes.
    image.fp.seek(-4 - 2 * image.layers, os.SEEK_CUR)
    return "progressive" in image.info or image.fp.read(1) != bytes([image.layers])


def upright_pixels(image: Image.Image, rules: PixelRules) -> Pixels:
    """Return the pixels that a network sees of an opened picture, uint8 [size, size, 3], RGB.

    Raises:
        BadPicture: it cannot be decoded to its end.
    """
    try:
        image.load()
        return fit_pixels(_rgb(_upright(image.copy())), rules)
    except BadPicture:
        raise
    except Exception as error:  # on damaged data Pillow's decoders raise almost anything
        raise BadPicture(" ".join(str(error).split()) or type(error).__name__) from error


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


def _eight_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith(("I", "F")):
        return image
    clear = image.info.pop("transparency", None)  # a PNG's one grey value
    if not image.mode.startswith("I;16"):
        return _own_range(image)
    table = _sixteen_to_eight(clear)
    return _by_strips(image, "L", lambda strip: strip.convert("I").point(table, "L"))


def _rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        return _by_strips(image, "RGB", _on_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _by_strips(
    image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Convert a few rows at a time: what is made on the way takes as much memory as the picture."""
    result = Image.new(mode, image.size)
    for top in range(0, image.height, STRIP):
        rows = image.crop((0, top, image.width, min(top + STRIP, image.height)))
        result.paste(convert(rows), (0, top))
    return result


@functools.cache
def _sixteen_to_eight(clear: int | None = None) -> list[int]:
    """Return the 8-bit value of each 16-bit one: scaled and rounded; 255 for `clear`."""
    table = np.rint(np.arange(65536) * (255.0 / 65535)).astype(np.uint8)
    if clear is not None:
        table[clear] = 255
    return list(map(int, table))


def _own_range(image: Image.Image) -> Image.Image:
    """Scale numbers whose white is unknown: to their own range, but for 16 bits."""
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise BadPicture("holds values that are not finite")
    low, high = float(values.min()), float(values.max())
    if image.mode == "I" and low >= 0 and high <= 65535:  # as PPM and PNG keep 16 bits
        return image.point(_sixteen_to_eight(), "L")
    scale = 255.0 / ((high - low) or 1.0)
    grey = np.empty(values.shape, np.uint8)
    for row, line in zip(grey, values, strict=True):  # one at a time: float64 takes much memory
        row[:] = np.rint((line.astype(np.float64) - low) * scale)
    return Image.fromarray(grey)
