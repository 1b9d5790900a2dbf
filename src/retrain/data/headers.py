"""What a picture file says of itself before it is decoded: format, size, camera."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags

from retrain.data.images import opened_header
from retrain.data.records import Picture
from retrain.data.stream import ordered
from retrain.progress import Reporter

AHEAD = 256  # files in flight; little of each is read


@dataclass(frozen=True)
class Header:
    """Of one file. format: Pillow's name, such as "JPEG". width, height: in pixels, as it is shown.

    camera: maker and model as EXIF has them; "" where it says nothing.
    """

    format: str
    width: int
    height: int
    camera: str


UNKNOWN = Header("", 0, 0, "")  # of a file that can no longer be read


def headers(pictures: Sequence[Picture], report: Reporter) -> list[Header]:
    """Return the header of each picture, in their order; UNKNOWN where it cannot be read."""
    found = []
    with report.bar("looking at files", len(pictures)) as advance:
        for header in ordered(_header, (p.path for p in pictures), AHEAD):
            found.append(header)
            advance(1)
    return found


def _header(path: Path) -> Header:
    try:
        with opened_header(path) as image:
            exif = image.getexif()
            names = (exif.get(ExifTags.Base.Make), exif.get(ExifTags.Base.Model))
            camera = " ".join(str(name).strip("\0 ") for name in names if name)
            turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
            width, height = image.size[::-1] if turned else image.size
            return Header(image.format or "", width, height, camera)
    except Exception:  # it was readable when it was checked; whoever decodes it will tell
        return UNKNOWN
