"""Small copies of pictures, and what spoils them."""

import hashlib
import io
from pathlib import Path

import pytest
from PIL import Image

from pictures import draw, encoded, with_orientation
from retrain.clean.thumbnails import PictureChanged, Thumbnails


def picture(folder: Path, content: bytes) -> tuple[Path, str]:
    path = folder / "picture.bin"
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def opened(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "HEIF"])
def test_every_format_is_shown_as_a_small_jpeg(tmp_path: Path, kind: str) -> None:
    path, sha256 = picture(tmp_path, encoded(draw("disc", 1, (900, 600)), kind))
    small = opened(Thumbnails(tmp_path).jpeg(path, sha256, 320))
    assert small.size == (320, 213)


def test_a_picture_is_shown_upright_and_small_ones_as_they_are(tmp_path: Path) -> None:
    image = draw("disc", 1, (90, 60))
    path, sha256 = picture(tmp_path, encoded(image, "JPEG", exif=with_orientation(6)))
    assert opened(Thumbnails(tmp_path).jpeg(path, sha256, 320)).size == (60, 90)


def test_a_small_copy_is_kept_and_a_damaged_one_made_again(tmp_path: Path) -> None:
    path, sha256 = picture(tmp_path, encoded(draw("disc", 1, (900, 600)), "JPEG"))
    thumbnails = Thumbnails(tmp_path)
    first = thumbnails.jpeg(path, sha256)
    (kept,) = [p for p in (tmp_path / "thumbnails").rglob("*") if p.is_file()]
    path.write_bytes(b"no picture any more")
    assert thumbnails.jpeg(path, sha256) == first
    path.write_bytes(encoded(draw("disc", 1, (900, 600)), "JPEG"))
    for damage in (b"", kept.read_bytes()[:-7], b"x" + kept.read_bytes()[1:]):
        kept.write_bytes(damage)
        assert thumbnails.jpeg(path, sha256) == first
    assert kept.read_bytes().endswith(first)


def test_a_picture_that_is_gone_changed_or_broken_is_told(tmp_path: Path) -> None:
    content = encoded(draw("disc", 1, (900, 600)), "JPEG")
    path, sha256 = picture(tmp_path, content)
    thumbnails = Thumbnails(tmp_path / "caches")
    path.write_bytes(encoded(draw("disc", 2), "JPEG"))
    with pytest.raises(PictureChanged, match="was changed"):
        thumbnails.jpeg(path, sha256)
    path.unlink()
    with pytest.raises(PictureChanged, match="No such file"):
        thumbnails.jpeg(path, sha256)
    path, sha256 = picture(tmp_path, content[: len(content) // 2])
    with pytest.raises(PictureChanged, match="cannot be shown"):
        thumbnails.jpeg(path, sha256)


def test_where_nothing_can_be_kept_pictures_are_shown_all_the_same(tmp_path: Path) -> None:
    path, sha256 = picture(tmp_path, encoded(draw("disc", 1), "JPEG"))
    (tmp_path / "caches").write_bytes(b"a file in the way")
    assert opened(Thumbnails(tmp_path / "caches").jpeg(path, sha256)).size == (96, 80)
