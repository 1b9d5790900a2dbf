"""EXIF orientation inside the graph, against the decode of training."""

import struct
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from commands import SHARED
from pictures import STORED, draw, encoded, with_orientation
from retrain.data.images import PixelRules, read_pixels
from retrain.export.orientation import read_orientation
from retrain.export.saved_model import _pixels, export_saved_model, is_readable

RULES = PixelRules(48, "squash")
PICTURE = draw("squares", 3, (90, 60)).resize((180, 120))
EXAMPLES = SHARED / "data" / "bad_inputs" / "orientation"
STRING = tf.TensorSpec([], tf.string)

read = tf.function(read_orientation, [STRING])
pixels_of = tf.function(lambda content: _pixels(content, RULES), [STRING])


def tiff(order: str, kind: int, value: int, before: int = 0) -> bytes:
    """Return an EXIF block with `before` other tags, then the orientation."""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[order]
    entries = b"".join(struct.pack(f"{order}HHII", 0x100 + i, 4, 1, 7) for i in range(before))
    form = {3: "H2x", 4: "I"}[kind]
    entries += struct.pack(f"{order}HHI{form}", 0x112, kind, 1, value)
    head = mark + struct.pack(f"{order}IH", 8, before + 1)
    return b"Exif\0\0" + head + entries + bytes(4)


def same_pixels(content: bytes) -> bool:
    ours, graph = read_pixels(content, RULES), pixels_of(tf.constant(content)).numpy()
    return bool(np.abs(ours.astype(int) - graph.astype(int)).max() <= 1)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_is_applied(name: str, orientation: int) -> None:
    turn = STORED[orientation]
    stored = PICTURE if turn is None else PICTURE.transpose(turn)
    content = encoded(stored, name, exif=with_orientation(orientation).tobytes(), quality=95)
    assert read(tf.constant(content)) == orientation
    assert same_pixels(content)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4])
def test_both_byte_orders_and_all_whole_numbers_are_read(order: str, kind: int) -> None:
    content = encoded(PICTURE, "JPEG", exif=tiff(order, kind, 6, before=9))
    assert read(tf.constant(content)) == 6
    assert same_pixels(content)


GOOD = tiff("<", 3, 6)
DAMAGED = {
    "none": b"",
    "a value that there is not": tiff(">", 3, 9),
    "zero": tiff(">", 3, 0),
    "no TIFF": GOOD.replace(b"II", b"XX"),
    "cut off": GOOD[:18],
    "only its name": b"Exif\0\0",
    "a directory far outside": b"Exif\0\0II*\0\xff\xff\xff\x7f",
    "more tags than bytes": b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
}


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_what_is_damaged_counts_as_upright(damage: str) -> None:
    exif = {"exif": DAMAGED[damage]} if DAMAGED[damage] else {}
    content = encoded(PICTURE, "JPEG", **exif)
    assert read(tf.constant(content)) == 1
    assert same_pixels(content)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 11, 12, 20])
def test_short_files_have_no_orientation(length: int) -> None:
    for name in ("JPEG", "PNG", "WEBP"):
        assert read(tf.constant(encoded(PICTURE, name)[:length])) == 1


def test_an_orientation_behind_the_pixels_is_found_in_png_and_not_looked_for_in_jpeg() -> None:
    content = encoded(PICTURE, "PNG", exif=tiff(">", 3, 8)[6:])
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    moved = content[:start] + content[end:-12] + content[start:end] + content[-12:]
    assert read(tf.constant(moved)) == 8
    assert same_pixels(moved)
    jpeg = encoded(PICTURE, "JPEG")
    assert read(tf.constant(jpeg + encoded(PICTURE, "JPEG", exif=GOOD)[2:])) == 1


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the example pictures are not on this machine")
def test_pictures_of_phones_stand_upright() -> None:
    paths = sorted(EXAMPLES.iterdir())
    assert len(paths) > 10
    for path in paths:
        assert same_pixels(path.read_bytes()), path.name


def test_what_is_no_picture_has_no_class_and_the_others_have_theirs(tmp_path: Path) -> None:
    def colours(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        mean = tf.reduce_mean(tf.cast(pixels, tf.float32), [1, 2])
        return {"probabilities": tf.nn.softmax(mean), "features": mean}

    export_saved_model(colours, ("red", "green", "blue"), RULES, tmp_path / "saved")
    serve = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    blue = encoded(Image.new("RGB", (9, 9), (0, 0, 200)), "PNG")
    red = encoded(Image.new("RGB", (9, 9), (200, 0, 0)), "JPEG")
    strange = [b"", b"B", b"text", b"%PDF-1.7", b"RIFF1234WAVE"]
    answer = serve(image_bytes=tf.constant([blue, *strange, red]))
    best = answer["classes"].numpy()[:, 0].tolist()
    assert best == [b"blue", *[b""] * len(strange), b"red"]
    assert np.isnan(answer["scores"].numpy()[1:-1]).all()
    assert np.isfinite(answer["scores"].numpy()[[0, -1]]).all()


def test_what_tensorflow_decodes_is_told_by_its_beginning() -> None:
    contents = [encoded(PICTURE, name) for name in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")]
    assert is_readable(tf.constant(contents)).numpy().tolist() == [True] * 5 + [False]
