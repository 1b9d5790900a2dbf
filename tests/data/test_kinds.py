"""What a file is, told by its first bytes."""

import pi_heif
import pytest
from PIL import Image

from pictures import draw, encoded
from retrain.data.kinds import FORMATS, START, other_kind, possible_formats


@pytest.mark.parametrize("name", FORMATS)
def test_a_picture_begins_as_its_format_does(name: str) -> None:
    assert possible_formats(encoded(draw("disc", 1), name)[:START]) == (name,)


@pytest.mark.parametrize(
    "start",
    [
        *(b"P" + bytes([letter]) for letter in range(256)),
        *(order + bytes(two) for order in (b"II", b"MM") for two in ((42, 0), (0, 42))),
        *(order + bytes(two) for order in (b"II", b"MM") for two in ((43, 0), (0, 43))),
        b"BM",
        b"GIF87a",
        b"GIF88a",
        b"RIFF....WEBPVP8 ",
        b"\xff\xd8\xfe",
        *(
            b"....ftyp" + brand
            for brand in (
                *(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"),
                *(b"mif1", b"msf1", b"avif", b"avis", b"isom", b"qt  ", b"crx "),
            )
        ),
    ],
)
def test_pillow_takes_the_same_files_for_the_same_formats(start: bytes) -> None:
    Image.init()
    pi_heif.register_heif_opener()
    prefix = start.ljust(16, b"\0")
    accepts = {name: Image.OPEN[name][1] for name in FORMATS}
    expected = [name for name, accept in accepts.items() if accept and accept(prefix) is True]
    assert list(possible_formats(prefix)) == expected


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"%PDF-1.4\n", "PDF"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"II*\0\x10\0\0\0CR\x02\0", "camera's raw"),
        (b"\0\0\0\x18ftypcrx \0", "camera's raw"),
        (b"FUJIFILMCCD-RAW 0201", "camera's raw"),
        (b"IIRO\x08\0", "camera's raw"),
        (b"IIU\0\x18\0", "camera's raw"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<SVG/>", "SVG"),
        (b"\0\0\0\x20ftypisom", "MP4"),
        (b"\0\0\0\x20ftypmp42", "MP4"),
        (b"\0\0\0\x14ftypqt  ", "MOV"),
        (b"\0\0\0\x08wide\0\0\0\0mdat", "MOV"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI"),
        (b"\x1a\x45\xdf\xa3", "Matroska"),
        (b"\0\0\0\x0cJXL \r\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
        (b"PK\x03\x04", "ZIP"),
    ],
)
def test_what_is_no_picture_is_named_with_a_remedy(start: bytes, kind: str) -> None:
    assert possible_formats(start) == ()
    assert kind in other_kind(start)
    assert "; " in other_kind(start)


@pytest.mark.parametrize(
    "start", [b"", b"<html><svg/></html>", b"<?xml version='1.0'?><rss/>", b"this is text"]
)
def test_what_nobody_knows_is_told_by_its_start(start: bytes) -> None:
    assert other_kind(start).startswith("no picture format that can be read (starts with '")
