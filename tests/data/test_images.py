"""Every kind of file that a folder of pictures may hold, decoded for real."""

import io
import os
import resource
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin, features

from commands import SHARED
from pictures import STORED, draw, encoded, with_orientation
from retrain.config import Fit
from retrain.data.images import (
    MAX_BYTES,
    PAD_COLOUR,
    WHOLE,
    BadPicture,
    Box,
    PixelRules,
    Pixels,
    decode,
    extension,
    fit_pixels,
    is_picture,
    read_bytes,
    read_pixels,
)
from retrain.data.kinds import FORMATS

BAD_INPUTS = SHARED / "data" / "bad_inputs"
SMALL = PixelRules(64, "squash")
FITS: tuple[Fit, ...] = ("squash", "crop", "pad")
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
LETTERS = {RED: "r", GREEN: "g", BLUE: "b", WHITE: "w", PAD_COLOUR: "-"}

needs_bad_inputs = pytest.mark.skipif(
    not BAD_INPUTS.is_dir(), reason="the collection of bad inputs is not on this machine"
)


def tiff(values: list[object], dtype: type[np.generic]) -> bytes:
    """Return a TIFF with one row of values of one channel."""
    return encoded(Image.fromarray(np.array([values], dtype)), "TIFF")


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """Return a PNG made by hand, for headers that lie and depths that Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def first_pixel(content: bytes) -> tuple[int, ...]:
    return tuple(int(value) for value in read_pixels(content, SMALL)[0, 0])


def difference(one: Pixels, other: Pixels) -> float:
    """Return the mean absolute difference, 0..255."""
    return float(np.abs(one.astype(np.int16) - other).mean())


def skip_without(name: str) -> None:
    if name == "AVIF" and not features.check("avif"):
        pytest.skip("this build of Pillow has no AVIF")


# --- orientation


@needs_bad_inputs
@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_in_all_eight_orientations_give_the_same_pixels(orientation: int) -> None:
    folder = BAD_INPUTS / "orientation"
    upright = read_pixels(read_bytes(folder / "Landscape_1.jpg"), SMALL)
    content = read_bytes(folder / f"Landscape_{orientation}.jpg")
    assert difference(read_pixels(content, SMALL), upright) < 2
    if orientation > 1:
        with Image.open(io.BytesIO(content)) as image:
            as_stored = fit_pixels(image.convert("RGB"), SMALL)
        assert difference(as_stored, upright) > 40


@pytest.mark.parametrize("name", ["PNG", "TIFF", "HEIF"])
@pytest.mark.parametrize("orientation", STORED)
def test_orientation_is_undone_exactly_once(name: str, orientation: int) -> None:
    upright = draw("disc", 1, (96, 80))
    turn = STORED[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    content = encoded(stored, name, exif=with_orientation(orientation).tobytes())
    if name == "HEIF":  # which keeps colours to a level
        assert difference(np.asarray(decode(content)), np.asarray(upright)) < 1
    else:
        assert decode(content).tobytes() == upright.tobytes()
    assert (stored.tobytes() == upright.tobytes()) == (orientation == 1)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0nonsense",
        b"Exif\0\0MM\0*\0\0\0\x08" + b"\xff" * 50,
        b"Exif\0\0II*\0\xff\xff\xff\x7f",
        with_orientation(99).tobytes(),
    ],
)
def test_a_broken_exif_block_is_ignored(exif: bytes) -> None:
    image = draw("stripes", 1)
    content = encoded(image, "JPEG", exif=exif)
    assert exif in content
    assert decode(content).tobytes() == decode(encoded(image, "JPEG")).tobytes()


# --- what can be read, and what cannot


@needs_bad_inputs
@pytest.mark.parametrize("name", ["noext", "upper.JPG", "trailing_junk.jpg", "sp ace é中.jpg"])
def test_odd_names_and_trailing_junk_change_no_pixel(name: str) -> None:
    folder = BAD_INPUTS / "synthetic"
    plain = read_pixels(read_bytes(folder / "noext"), SMALL)
    assert np.array_equal(read_pixels(read_bytes(folder / name), SMALL), plain)


@needs_bad_inputs
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("first2k.jpg", "(?i)truncated"),
        ("half.jpg", "(?i)truncated"),
        ("html_404.jpg", "no picture format.*<!DOCTYPE"),
        ("soi_only.jpg", "^begins like JPEG, but cannot be read$"),
        ("text.jpg", "no picture format.*this is not"),
        ("zero_bytes.jpg", "^empty file$"),
    ],
)
def test_bad_files_are_refused_with_a_reason(name: str, reason: str) -> None:
    with pytest.raises(BadPicture, match=reason) as error:
        read_pixels(read_bytes(BAD_INPUTS / "synthetic" / name), SMALL)
    assert name not in str(error.value)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_file_cut_short_is_refused(name: str, share: float) -> None:
    skip_without(name)
    content = encoded(draw("noise", 1), name)
    decode(content)
    with pytest.raises(BadPicture, match=r"\w"):
        decode(content[: int(share * len(content))])


@pytest.mark.parametrize("name", ["missing.jpg", "", "null\0character.jpg", "x" * 300])
def test_a_path_that_holds_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadPicture, match=r"\w"):
        read_bytes(tmp_path / name)


def test_a_device_is_refused_unread(tmp_path: Path) -> None:
    link = tmp_path / "picture.jpg"
    link.symlink_to(os.devnull)
    with pytest.raises(BadPicture, match="not a regular file"):
        read_bytes(link)


def sparse(path: Path, size: int, start: bytes) -> Path:
    """Write a file that takes no room, whatever its size."""
    path.write_bytes(start)
    os.truncate(path, size)
    return path


def test_a_file_that_is_no_picture_or_too_large_is_refused_unread(tmp_path: Path) -> None:
    film = sparse(tmp_path / "film.jpg", 3 << 30, b"\0\0\0\x18ftypmp42")
    giant = sparse(tmp_path / "giant.jpg", 30 << 30, b"\xff\xd8\xff\xe0")
    with pytest.raises(BadPicture, match=r"a film \(MP4\)"):
        read_bytes(film)
    with pytest.raises(BadPicture, match=rf"30,720 MiB; pictures above {MAX_BYTES >> 20} MiB are"):
        read_bytes(giant)
    assert not is_picture(film)
    assert is_picture(giant)
    assert not is_picture(tmp_path / "nothing.jpg")


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    path = sparse(tmp_path / "large.jpg", MAX_BYTES, b"\xff\xd8\xff\xe0")
    assert len(read_bytes(path)) == MAX_BYTES


@pytest.mark.parametrize(
    "tags",
    [{50706: b"\1\4\0\0"}, {254: 1, 330: (8,)}],  # DNGVersion; a preview, and the true picture
)
def test_a_raw_file_is_refused_though_its_preview_could_be_read(tags: dict[int, object]) -> None:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
    content = encoded(draw("disc", 1), "TIFF", tiffinfo=info)
    with pytest.raises(BadPicture, match="a camera's raw file; export it"):
        decode(content)


def test_a_tiff_without_a_picture_may_be_a_raw_file() -> None:
    with pytest.raises(BadPicture, match=r"begins like TIFF, .*; or it is a camera's raw file"):
        decode(b"II*\0\x08\0\0\0" + bytes(100))


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (15_000, 13_000)])
def test_a_decompression_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadPicture, match=rf"{width * height}|{width}x{height}"):
        read_pixels(png(width, height, 8, 2, b"\0" * 1000), SMALL)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 64 << 20


# --- formats


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_is_told_by_content_not_by_extension(tmp_path: Path, name: str) -> None:
    skip_without(name)
    path = tmp_path / ("picture.png" if name == "JPEG" else "picture.jpg")
    path.write_bytes(encoded(Image.new("RGB", (32, 24), (200, 100, 50)), name))
    pixels = read_pixels(read_bytes(path), SMALL)
    assert difference(pixels, np.full_like(pixels, (200, 100, 50))) < 4


@pytest.mark.parametrize(
    ("name", "usual"),
    [
        ("JPEG", ".jpg"),
        ("MPO", ".jpg"),
        ("PNG", ".png"),
        ("GIF", ".gif"),
        ("BMP", ".bmp"),
        ("WEBP", ".webp"),
        ("TIFF", ".tif"),
        ("PPM", ".ppm"),
        ("AVIF", ".avif"),
        ("HEIF", ".heic"),
    ],
)
def test_extension_names_the_format(name: str, usual: str) -> None:
    skip_without(name)
    several = {"save_all": True, "append_images": [draw("disc", 2)]} if name == "MPO" else {}
    assert extension(encoded(draw("disc", 1), name, **several)) == usual


@pytest.mark.parametrize("content", [b"", b"this is not a picture", b"\xff\xd8\xff"])
def test_what_is_no_picture_has_no_extension(content: bytes) -> None:
    assert extension(content) == ""


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(name: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (GREEN, RED, BLUE)]
    lossless = {"lossless": True} if name == "WEBP" else {}
    content = encoded(frames[0], name, save_all=True, append_images=frames[1:], **lossless)
    with Image.open(io.BytesIO(content)) as image:
        assert getattr(image, "n_frames", 1) == 3
    assert first_pixel(content) == GREEN


# --- modes


def test_cmyk_is_converted() -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow make red
    red, green, blue = first_pixel(encoded(ink, "JPEG", quality=100))
    assert red > 220
    assert green < 60
    assert blue < 60


@pytest.mark.parametrize("name", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_clipped(name: str) -> None:
    grey = Image.fromarray(np.array([[40_000, 0, 65_535]], np.uint16))
    assert np.asarray(decode(encoded(grey, name)))[0, :, 0].tolist() == [156, 0, 255]


def test_sixteen_bits_a_colour_are_scaled() -> None:
    content = png(1, 1, 16, 2, b"\0" + struct.pack(">HHH", 40_000, 0, 65_535))
    assert first_pixel(content) == (156, 0, 255)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([-1.5, 0.0, 1.5], np.float32, [0, 128, 255]),
        ([-3e38, 0.0, 3e38], np.float32, [0, 128, 255]),
        ([0.5, 0.5, 0.5], np.float32, [0, 0, 0]),
        ([0, 40_000, 65_535], np.int32, [0, 156, 255]),
        ([-2_000_000_000, 0, 2_000_000_000], np.int32, [0, 128, 255]),
    ],
)
def test_numbers_without_a_known_white_use_their_own_range(
    values: list[object], dtype: type[np.generic], expected: list[int]
) -> None:
    assert np.asarray(decode(tiff(values, dtype)))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(BadPicture, match="not finite"):
        decode(tiff([0.0, value], np.float32))


def test_one_bit_is_black_and_white() -> None:
    image = Image.new("1", (8, 8), 1)
    image.paste(0, (0, 0, 4, 8))
    pixels = np.asarray(decode(encoded(image, "PNG")))
    assert pixels[0, :, 0].tolist() == [0] * 4 + [255] * 4


def transparent_palette() -> Image.Image:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([*RED, *BLUE])
    return image


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (transparent_palette(), {}, BLUE),
        (transparent_palette(), {"transparency": 1}, WHITE),
        (transparent_palette(), {"transparency": b"\xff\x80"}, (127, 127, 255)),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 128)), {}, (255, 127, 127)),
        (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), {}, WHITE),
        (Image.new("LA", (8, 8), (0, 128)), {}, (127, 127, 127)),
        (Image.new("RGB", (8, 8), RED), {"transparency": RED}, WHITE),
        (Image.new("L", (8, 8), 7), {"transparency": 7}, WHITE),
        (Image.new("I;16", (8, 8), 40_000), {"transparency": 40_000}, WHITE),
        (Image.new("I;16", (8, 8), 40_000), {"transparency": 40_001}, (156, 156, 156)),
    ],
)
def test_transparency_is_laid_on_white(
    image: Image.Image, options: dict[str, object], expected: tuple[int, ...]
) -> None:
    assert first_pixel(encoded(image, "PNG", **options)) == expected


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
@pytest.mark.parametrize("clear", [None, 12_345])
def test_sixteen_bits_give_the_pixels_that_exact_arithmetic_gives(
    mode: str, clear: int | None
) -> None:
    values = np.arange(65536).reshape(256, 256)
    dtype = {"I;16": "<u2", "I;16B": ">u2", "I": "=i4"}[mode]
    image = Image.frombytes(mode, (256, 256), values.astype(dtype).tobytes())
    name = "TIFF" if mode == "I;16B" else "PPM" if mode == "I" else "PNG"
    if name != "PNG" and clear is not None:
        pytest.skip(f"{name} has no transparent value")
    content = encoded(image, name, **({} if clear is None else {"transparency": clear}))
    expected = np.rint(values.astype(np.float64) * (255.0 / 65535)).astype(np.uint8)
    if clear is not None:
        expected.flat[clear] = 255
    assert np.array_equal(np.asarray(decode(content))[..., 0], expected)


# --- geometry


def bands() -> Image.Image:
    """Return 80 x 40 pixels: four bands of colour, in the lower half the other way round."""
    image = Image.new("RGB", (80, 40))
    for i, colour in enumerate((RED, GREEN, BLUE, WHITE)):
        image.paste(colour, (20 * i, 0, 20 * i + 20, 20))
        image.paste(colour, (60 - 20 * i, 20, 80 - 20 * i, 40))
    return image


def seen(pixels: Pixels) -> str:
    """Return the colours at 4 x 4 places, row by row, a letter each."""
    return " ".join("".join(LETTERS[tuple(p)] for p in row) for row in pixels[5::10, 5::10])


RIGHT_HALF = (0.5, 0.0, 1.0, 1.0)
UPPER_HALF = (0.0, 0.0, 1.0, 0.5)
LEFT_QUARTER = (0.0, 0.0, 0.25, 1.0)


@pytest.mark.parametrize(
    ("fit", "part", "expected"),
    [
        ("squash", WHOLE, "rgbw rgbw wbgr wbgr"),
        ("squash", UPPER_HALF, "rgbw rgbw rgbw rgbw"),
        ("squash", RIGHT_HALF, "bbww bbww ggrr ggrr"),
        ("crop", WHOLE, "ggbb ggbb bbgg bbgg"),
        ("crop", RIGHT_HALF, "bbbb bbbb gggg gggg"),
        ("pad", WHOLE, "---- rgbw wbgr ----"),
        ("pad", RIGHT_HALF, "bbww bbww ggrr ggrr"),
        ("pad", LEFT_QUARTER, "-rr- -rr- -ww- -ww-"),
    ],
)
def test_fit_and_part_show_what_they_should(fit: Fit, part: Box, expected: str) -> None:
    assert seen(fit_pixels(bands(), PixelRules(40, fit), part)) == expected


def test_resizing_is_antialiased() -> None:
    board = np.indices((256, 256)).sum(axis=0) % 2 * 255
    grey = fit_pixels(Image.fromarray(board.astype(np.uint8)).convert("RGB"), SMALL)
    assert np.abs(grey.astype(int) - 127).max() < 8


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(1, 1), (20_000, 3), (3, 20_000), (33, 77)])
@pytest.mark.parametrize("name", ["PNG", "JPEG"])
def test_any_shape_becomes_the_square_that_was_asked_for(
    name: str, size: tuple[int, int], fit: Fit
) -> None:
    content = encoded(Image.new("RGB", size, RED), name)
    for pixels in (
        read_pixels(content, PixelRules(40, fit)),
        fit_pixels(decode(content), PixelRules(40, fit), (0.2, 0.3, 0.7, 0.9)),
    ):
        assert pixels.shape == (40, 40, 3)
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        assert pixels[..., 0].max() > 250


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "I", "F"])
def test_any_mode_becomes_rgb(mode: str) -> None:
    name = "TIFF" if mode in ("CMYK", "F", "I") else "PNG"
    pixels = read_pixels(encoded(Image.new(mode, (9, 5)), name), SMALL)
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8


# --- large JPEGs


@pytest.mark.parametrize("enough", [1, 100, 150, 151, 299, 600])
def test_a_large_jpeg_is_decoded_smaller_but_with_enough_pixels(enough: int) -> None:
    content = encoded(Image.new("RGB", (1600, 1200)), "JPEG")
    width, height = decode(content, enough).size
    assert enough <= height < 1200
    assert width * 3 == height * 4


@pytest.mark.parametrize("enough", [601, 1200, 5000])
def test_a_jpeg_without_pixels_to_spare_is_decoded_in_full(enough: int) -> None:
    content = encoded(Image.new("RGB", (1600, 1200)), "JPEG")
    assert decode(content, enough).size == (1600, 1200)


def test_a_jpeg_beyond_the_limit_is_read_where_it_decodes_small() -> None:
    image = Image.new("L", (16_000, 12_000), 90)
    content, progressive = encoded(image, "JPEG"), encoded(image, "JPEG", progressive=True)
    assert decode(content, 448).size == (2000, 1500)
    assert extension(content) == ".jpg"
    with pytest.raises(BadPicture, match="16000x12000 is too large to decode"):
        decode(content)
    with pytest.raises(BadPicture, match="16000x12000 is too large to decode"):
        decode(progressive, 448)


def test_a_jpeg_beyond_the_limit_that_comes_a_colour_at_a_time_is_refused() -> None:
    content = encoded(Image.new("RGB", (16_000, 12_000), RED), "JPEG")
    scan = content.index(b"\xff\xda")
    assert content[scan + 4] == 3
    first = content[: scan + 4] + b"\1" + content[scan + 5 :]
    with pytest.raises(BadPicture, match="16000x12000 is too large to decode"):
        decode(first, 448)


@pytest.mark.parametrize("fit", FITS)
def test_decoding_smaller_hardly_changes_the_pixels(fit: Fit) -> None:
    content = encoded(draw("squares", 3, (96, 80)).resize((1440, 1200)), "JPEG")
    rules = PixelRules(64, fit)
    quick, full = decode(content, 128), decode(content)
    assert quick.width * 8 == full.width
    assert difference(fit_pixels(quick, rules), fit_pixels(full, rules)) < 1.5
