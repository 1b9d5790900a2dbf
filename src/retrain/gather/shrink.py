"""Makes large pictures smaller, upright as they were meant, with what else they say."""

import io

from PIL import ExifTags, Image, ImageOps

from retrain.data.images import decode

QUALITY = 92  # of JPEG
_AS_THEY_ARE = ("L", "LA", "RGB", "RGBA", "CMYK")  # modes that Pillow resizes and formats hold


def shrunk(content: bytes, most: int) -> bytes:
    """Return a picture file whose longer side has at most `most` pixels; the same if it has.

    EXIF orientation is applied to the pixels and reset. JPEG, PNG and WebP stay what they are, and
    keep their other EXIF values, such as when they were taken, and their colour profile; anything
    else becomes a JPEG.

    Raises:
        BadPicture: it cannot be decoded to its end.
    """
    image = decode(content)  # by the rules for pictures, whose errors are words
    if max(image.size) <= most:
        return content
    own, kind = _as_it_is(content, most)
    if own is None:
        own, kind = image, "JPEG"
    exif, profile = own.getexif(), own.info.get("icc_profile")
    exif[ExifTags.Base.Orientation] = 1
    own.thumbnail((most, most), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    extra = {"quality": QUALITY} if kind in ("JPEG", "WEBP") else {}
    own.save(file, kind, exif=exif, icc_profile=profile, **extra)
    return file.getvalue()


def _as_it_is(content: bytes, most: int) -> tuple[Image.Image | None, str]:
    """Return an upright picture in its own colours, and its format; None where that cannot be."""
    with Image.open(io.BytesIO(content)) as image:
        kind = "JPEG" if image.format == "MPO" else image.format or ""
        if kind not in ("JPEG", "PNG", "WEBP") or getattr(image, "n_frames", 1) > 1:
            return None, kind
        if kind == "JPEG":
            image.draft(None, (2 * most, 2 * most))
        upright = ImageOps.exif_transpose(image)
    if upright.mode == "P":
        upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    return (upright if upright.mode in _AS_THEY_ARE else None), kind
