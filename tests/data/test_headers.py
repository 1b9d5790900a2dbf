"""What a picture file says of itself, without its pixels."""

from pathlib import Path

from PIL import ExifTags, Image

from pictures import draw, encoded, with_orientation
from retrain.data.headers import UNKNOWN, Header, headers
from retrain.data.records import Picture
from retrain.progress import Silent


def picture(path: Path) -> Picture:
    return Picture(path, path.name, "disc", "0" * 64, "0" * 64)


def test_format_size_and_camera_are_read_and_nothing_stops_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Maker", "Model 1\0"
    draw("disc", 1).save(tmp_path / "a.jpg", exif=exif)
    draw("disc", 1, (30, 50)).save(tmp_path / "b.png")
    draw("disc", 1, (30, 50)).save(tmp_path / "turned.jpg", exif=with_orientation(6))
    (tmp_path / "c.heic").write_bytes(encoded(draw("disc", 1, (64, 48)), "HEIF"))
    (tmp_path / "d.jpg").write_bytes(b"\xff\xd8\xff broken")
    names = ("a.jpg", "b.png", "turned.jpg", "c.heic", "d.jpg", "gone.jpg")
    found = headers([picture(tmp_path / name) for name in names], Silent())
    assert found == [
        Header("JPEG", 96, 80, "Maker Model 1"),
        Header("PNG", 30, 50, ""),
        Header("JPEG", 50, 30, ""),
        Header("HEIF", 64, 48, ""),
        UNKNOWN,
        UNKNOWN,
    ]
