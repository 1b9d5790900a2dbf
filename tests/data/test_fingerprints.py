"""What is remembered of a picture."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from commands import environment, measured
from retrain.data.fingerprints import FINGERPRINT, GREY, NO_TIME, WHOLE_SIDE, describe
from retrain.data.images import decode
from scenes import as_jpeg, scene


def test_a_record_has_the_same_size_for_every_picture_and_can_be_stored() -> None:
    for size in ((180, 132), (1, 1), (3, 500), (64, 64)):
        record = describe(scene(1, size))
        assert record.dtype == FINGERPRINT
        assert len(record.tobytes()) == FINGERPRINT.itemsize
        again = np.frombuffer(record.tobytes(), FINGERPRINT)[0]
        assert again == record
        assert (again["width"], again["height"]) == size


def test_same_pixels_have_the_same_digest_whatever_their_file() -> None:
    image = scene(1)
    files = []
    for name in ("PNG", "BMP"):
        file = io.BytesIO()
        image.save(file, name)
        files.append(describe(decode(file.getvalue()))["digest"].tobytes())
    assert files[0] == files[1]
    assert describe(as_jpeg(image))["digest"].tobytes() != files[0]


def test_pixels_in_another_shape_are_not_the_same() -> None:
    flat = Image.new("RGB", (20, 10), (1, 2, 3))
    tall = Image.new("RGB", (10, 20), (1, 2, 3))
    assert describe(flat)["digest"].tobytes() != describe(tall)["digest"].tobytes()


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (40, 90, 160)])
def test_a_plain_border_is_measured_on_each_side(colour: tuple[int, int, int]) -> None:
    image = as_jpeg(ImageOps.expand(scene(2), (18, 6, 9, 0), colour))
    left, upper, right, lower = describe(image)["border"].tolist()
    assert left == pytest.approx(18 / 207 * WHOLE_SIDE, abs=3)
    assert upper == pytest.approx(6 / 138 * WHOLE_SIDE, abs=3)
    assert right == pytest.approx(9 / 207 * WHOLE_SIDE, abs=3)
    assert lower == 0


def test_a_sky_is_no_border() -> None:
    rows = np.linspace(250, 60, 120).repeat(160).reshape(120, 160, 1)
    image = Image.fromarray(np.broadcast_to(rows, (120, 160, 3)).astype(np.uint8))
    assert describe(image)["border"].tolist() == [0, 0, 0, 0]


def test_a_blank_picture_has_no_border() -> None:
    assert describe(Image.new("RGB", (50, 40), "white"))["border"].tolist() == [0, 0, 0, 0]


def photograph(**tags: str) -> Image.Image:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        details[ExifTags.Base[name]] = value
    exif[ExifTags.Base.DateTime] = "2020:01:01 00:00:00"  # when somebody edited it
    file = io.BytesIO()
    scene(3).save(file, "JPEG", exif=exif)
    return decode(file.getvalue())


def test_the_time_is_the_cameras() -> None:
    first = describe(photograph(DateTimeOriginal="2019:05:04 10:00:00"))["taken"]
    later = describe(photograph(DateTimeDigitized="2019:05:04 10:00:07"))["taken"]
    assert later - first == 7


@pytest.mark.parametrize("text", ["", "0000:00:00 00:00:00", "yesterday", "    :  :     :  :  "])
def test_a_time_that_is_none_is_not_known(text: str) -> None:
    assert describe(photograph(DateTimeOriginal=text))["taken"] == NO_TIME


def test_the_time_of_an_edit_does_not_count() -> None:
    assert describe(photograph())["taken"] == NO_TIME


def test_thumbnails_hold_the_whole_picture() -> None:
    image = Image.new("RGB", (200, 50), "black")
    image.paste("white", (100, 0, 200, 50))
    grey = describe(image)["grey"]
    assert grey.shape == (GREY, GREY)
    assert grey[:, : GREY // 2 - 2].max() < 10
    assert grey[:, GREY // 2 + 2 :].min() > 245


LARGE = """
from PIL import Image
from retrain.data.fingerprints import describe
image = Image.new("RGB", (6000, 4000), (200, 100, 20))
"""


def test_a_large_picture_takes_hardly_more_memory_than_its_pixels(tmp_path: Path) -> None:
    peaks = []
    for program in (LARGE, LARGE + "describe(image)"):
        line = [*measured(tmp_path / "peak"), sys.executable, "-c", program]
        subprocess.run(line, env=environment(), check=True)
        peaks.append(float((tmp_path / "peak").read_text()))
    assert peaks[1] - peaks[0] < 20  # MB; its pixels take 96
