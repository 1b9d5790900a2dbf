"""Small copies of pictures for the page, made as they are looked at, and kept."""

import hashlib
import io
import threading
from pathlib import Path

from PIL import Image

from retrain.data.images import BadPicture, decode, read_bytes
from retrain.files import atomic_writer

EDGE, LARGE = 320, 1280  # pixels of the longer side, in the list and alone
QUALITY = 82
FOLDER = "thumbnails"  # among what is always safe to delete
_DIGEST = 16  # bytes before the JPEG, by which a damaged copy is known
_AT_ONCE = 4  # pictures in memory: one may take hundreds of megabytes


class PictureChanged(Exception):
    """The file is no longer the one that was meant; the message says what became of it."""


class Thumbnails:
    """Makes and keeps small copies, by the content of the pictures."""

    def __init__(self, caches: Path) -> None:
        """Take the folder of all caches; nothing is made before it is needed."""
        self._folder = caches / FOLDER
        self._decoding = threading.BoundedSemaphore(_AT_ONCE)
        self._writing = threading.Lock()  # two may want the same copy at once

    def jpeg(self, path: Path, sha256: str, edge: int = EDGE) -> bytes:
        """Return a JPEG of a picture, no wider or higher than `edge` pixels.

        Args:
            path: of the picture.
            sha256: of its content, hex.
            edge: of the longer side; smaller pictures stay as they are.

        Raises:
            PictureChanged: the file is gone, or is another one by now.
        """
        kept = self._folder / sha256[:2] / f"{sha256}-{edge}"
        known = _read(kept)
        if known is not None and path.exists():
            return known
        with self._decoding:
            content = content_of(path, sha256)
            try:
                made = _small(decode(content, edge), edge)
            except BadPicture as error:
                raise PictureChanged(f"It cannot be shown: {error}.") from error
        with self._writing:
            _keep(kept, made)
        return made


def content_of(path: Path, sha256: str) -> bytes:
    """Return a file's content, if it is the one that is meant.

    Raises:
        PictureChanged: it is gone, or another one.
    """
    try:
        content = read_bytes(path)
    except BadPicture as error:
        raise PictureChanged(f"The picture cannot be read any more: {error}.") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise PictureChanged("The picture was changed since the page was opened.")
    return content


def _small(image: Image.Image, edge: int) -> bytes:
    image.thumbnail((edge, edge), Image.Resampling.BILINEAR, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def _read(kept: Path) -> bytes | None:
    """Return a kept copy; None where there is none, or it is damaged."""
    try:
        content = kept.read_bytes()
    except OSError:
        return None
    digest, jpeg = content[:_DIGEST], content[_DIGEST:]
    return jpeg if jpeg and digest == _digest(jpeg) else None


def _keep(kept: Path, jpeg: bytes) -> None:
    """Keep a copy, if the machine allows; the page does without."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_writer(kept) as part:
            part.write_bytes(_digest(jpeg) + jpeg)
    except OSError:
        pass


def _digest(jpeg: bytes) -> bytes:
    return hashlib.sha256(jpeg).digest()[:_DIGEST]
