"""Writes a folder of labelled pictures as bad as they come: every kind of file, link, mode, name.

Nothing in it is large on disk; some files only say that they are.
"""

import os
import socket
import struct
import unicodedata
import zlib
from enum import Enum
from pathlib import Path

from PIL import Image, TiffImagePlugin, features

from pictures import CATEGORIES, STORED, draw, encoded, with_orientation

MB, GB = 1 << 20, 1 << 30
JPEG_START, PNG_START = b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"
FILM_START = b"\0\0\0\x18ftypmp42\0\0\0\0"
SUFFIXES = {
    **{"JPEG": "jpg", "PNG": "png", "GIF": "gif", "BMP": "bmp", "WEBP": "webp"},
    **{"TIFF": "tiff", "PPM": "ppm", "AVIF": "avif", "HEIF": "heic"},
}
JUNK = ("Thumbs.db", "desktop.ini", ".DS_Store", "@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX")
NAMES = (
    *(" leading space", "trailing space ", "two  spaces", "new\nline", "tab\there", "bell\x07"),
    *("\x1b[31mred", "-rf", "--help", "$HOME", "`id`", "*", "?", "a;b,c", 'quo"te', "o'clock"),
    *("back\\slash", "colon: 1", "per%cent", "hash#1", "a&b", "<tag>", "emoji 🌳", "中文", "עברית"),
    *("con", "nul", "dot.", "many.dots.in.it", "=1+1", "_nohash_", "ﬁ", "x" * 240),
)


class Fate(Enum):
    """What must become of a file."""

    USED = "learned from, or guessed"
    NAMED = "named with a reason"
    LOOSE = "counted in a note, where categories are wanted"
    NOBODYS = "as if it were not there"


class _Tree:
    """The folder while it is filled; seeds are numbered, so that no two pictures are the same."""

    def __init__(self, root: Path) -> None:
        self.root, self.fates = root, dict[Path, Fate]()
        self._seed = 1000

    def place(self, name: str, fate: Fate) -> Path:
        """Return where to write a file, and note what must become of it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.fates[Path(name)] = fate
        return path

    def write(self, name: str, content: bytes, fate: Fate = Fate.USED) -> Path:
        path = self.place(name, fate)
        path.write_bytes(content)
        return path

    def picture(self, category: str) -> Image.Image:
        """Return a new picture of a category."""
        self._seed += 1
        return draw(category, self._seed, (64, 56))

    def jpeg(self, category: str) -> bytes:
        return encoded(self.picture(category), "JPEG")

    def good(self, name: str) -> Path:
        """Write a good picture of the category that the name begins with."""
        return self.write(name, self.jpeg(name.split("/")[0]))

    def sparse(self, name: str, size: int, start: bytes) -> None:
        os.truncate(self.write(name, start, Fate.NAMED), size)


def write_hostile_tree(root: Path) -> dict[Path, Fate]:
    """Write about 300 files to `root/<category>/`.

    Returns:
        What must become of each file, by its path relative to `root`; a folder that cannot be
        listed stands for all that is in it.
    """
    tree = _Tree(root)
    for write in (_formats, _modes, _names, _links, _permissions, _wrecks, _others, _giants, _junk):
        write(tree)
    return tree.fates


def unlock(root: Path) -> None:
    """Let everything be deleted again."""
    for folder, folders, _ in os.walk(root):
        for name in folders:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755)


def _formats(tree: _Tree) -> None:
    """Every format in lower and upper case, under a wrong suffix and under none."""
    for category in CATEGORIES:
        for name, suffix in SUFFIXES.items():
            if name == "AVIF" and not features.check("avif"):
                continue
            wrong = "png" if suffix == "jpg" else "jpg"
            for ending in (f".{suffix}", f".{suffix.upper()}", f" as.{wrong}", ""):
                content = encoded(tree.picture(category), name)
                tree.write(f"{category}/formats/{name}{ending}", content)
    for orientation, turn in STORED.items():
        for name in ("JPEG", "HEIF"):
            upright = tree.picture("disc")
            stored = upright if turn is None else upright.transpose(turn)
            exif = with_orientation(orientation).tobytes()
            content = encoded(stored, name, exif=exif)
            tree.write(f"disc/turned/{orientation}.{SUFFIXES[name]}", content)


def _modes(tree: _Tree) -> None:
    """Every kind of pixel, and pictures of several."""
    kinds = {
        **{"1": "PNG", "L": "JPEG", "LA": "PNG", "P": "PNG", "PA": "PNG", "RGBA": "PNG"},
        **{"CMYK": "JPEG", "I;16": "PNG", "I": "TIFF", "F": "TIFF"},
    }
    for category in CATEGORIES:
        for mode, name in kinds.items():
            image = tree.picture(category).convert("L" if mode in ("I;16", "I", "F") else mode)
            if mode == "PA":
                image = image.convert("RGBA")
            if mode in ("I;16", "I", "F"):
                image = image.convert("I").point(lambda value: value * 257).convert(mode)
            content = encoded(image, name)
            tree.write(f"{category}/modes/{mode.replace(';', ' ')}.{SUFFIXES[name]}", content)
    for name in ("GIF", "WEBP", "PNG", "TIFF"):
        first, *others = (tree.picture("stripes") for _ in range(3))
        content = encoded(first, name, save_all=True, append_images=others)
        tree.write(f"stripes/moving.{SUFFIXES[name]}", content)


def _names(tree: _Tree) -> None:
    for i, name in enumerate(NAMES):
        tree.good(f"{CATEGORIES[i % 3]}/{name}.jpg")
    for form in ("NFC", "NFD"):
        tree.good(unicodedata.normalize(form, f"disc/{form} é.jpg"))
        tree.good(unicodedata.normalize(form, f"disc/{form} ü/1.jpg"))
    tree.good(os.fsdecode(b"squares/latin caf\xe9.jpg"))
    tree.good(os.fsdecode(b"squares/folder caf\xe9/1.jpg"))
    tree.good("squares/" + "deep/" * 40 + "1.jpg")
    tree.good("squares/folder.jpg/1.jpg")


def _links(tree: _Tree) -> None:
    """Links that lead somewhere are followed; each real folder is entered once."""
    elsewhere = tree.root.parent / "elsewhere"
    elsewhere.mkdir()
    for i in range(3):
        (elsewhere / f"{i}.jpg").write_bytes(tree.jpeg("disc"))
    tree.place("disc/link.jpg", Fate.USED).symlink_to(elsewhere / "0.jpg")
    tree.place("disc/link to a link.jpg", Fate.USED).symlink_to("link.jpg")
    tree.place("disc/hard link.jpg", Fate.USED).hardlink_to(elsewhere / "1.jpg")
    tree.place("disc/linked folder/2.jpg", Fate.USED).parent.rmdir()
    (tree.root / "disc/linked folder").symlink_to(elsewhere)
    for i in range(2):
        tree.place(f"disc/linked folder/{i}.jpg", Fate.USED)
    (tree.root / "disc/loop").symlink_to(tree.root / "disc")
    (tree.root / "disc/up").symlink_to(tree.root)
    tree.place("disc/nowhere.jpg", Fate.NAMED).symlink_to("not here.jpg")
    tree.place("disc/itself.jpg", Fate.NAMED).symlink_to("itself.jpg")
    tree.place("disc/device.jpg", Fate.NAMED).symlink_to(os.devnull)
    os.mkfifo(tree.place("disc/pipe.jpg", Fate.NAMED))
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(tree.place("disc/socket.jpg", Fate.NAMED).parent)  # its path would be too long
        listening.bind("socket.jpg")
        os.chdir(here)


def _permissions(tree: _Tree) -> None:
    for mode in (0o400, 0o444, 0o777):
        tree.good(f"stripes/mode {mode:o}.jpg").chmod(mode)
    for mode in (0o000, 0o200):
        path = tree.write(f"stripes/mode {mode:o}.jpg", tree.jpeg("stripes"), Fate.NAMED)
        path.chmod(mode)
    for mode in (0o000, 0o100):  # which cannot be listed
        folder = tree.place(f"stripes/folder {mode:o}", Fate.NAMED)
        folder.mkdir()
        (folder / "unseen.jpg").write_bytes(tree.jpeg("stripes"))
        folder.chmod(mode)
    path = tree.write("stripes/folder 400/seen.jpg", tree.jpeg("stripes"), Fate.NAMED)
    path.parent.chmod(0o400)
    closed = tree.place("closed", Fate.NAMED)  # a whole category
    closed.mkdir()
    (closed / "unseen.jpg").write_bytes(tree.jpeg("disc"))
    closed.chmod(0)


def _wrecks(tree: _Tree) -> None:
    """Pictures that are not whole, and some that are in spite of all."""
    for name, suffix in SUFFIXES.items():
        if name == "AVIF" and not features.check("avif"):
            continue
        content = encoded(draw("noise", len(name), (64, 56)), name)
        for share in (0.1, 0.5, 0.9):
            part = content[: int(share * len(content))]
            tree.write(f"stripes/cut {share}.{suffix}", part, Fate.NAMED)
    tree.write("stripes/empty.jpg", b"", Fate.NAMED)
    tree.write("stripes/one byte.jpg", b"\xff", Fate.NAMED)
    tree.write("stripes/three bytes.jpg", JPEG_START[:3], Fate.NAMED)
    tree.write("stripes/zeros.png", bytes(5000), Fate.NAMED)
    tree.write("stripes/bomb.png", _png_header(60_000, 60_000), Fate.NAMED)
    tree.write("disc/junk after it.jpg", tree.jpeg("disc") + b"<html>" * 99)
    broken = encoded(tree.picture("disc"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    tree.write("disc/broken exif.jpg", broken)


def _others(tree: _Tree) -> None:
    """Files that are no pictures, most of them under a picture's name."""
    raw = TiffImagePlugin.ImageFileDirectory_v2()
    raw[254], raw[330] = 1, (8,)  # a preview; the raw picture would lie in a sub-directory
    contents = {
        "page.jpg": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "notes.txt": b"do not lose these",
        "document.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        "layers.psd": b"8BPS\0\1" + bytes(20),
        "drawing.svg": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
        "IMG_1.CR2": b"II*\0\x10\0\0\0CR\2\0" + bytes(20),
        "IMG_2.CR3": b"\0\0\0\x18ftypcrx \0\0\0\1",
        "IMG_3.NEF": encoded(draw("disc", 1), "TIFF", tiffinfo=raw),
        "IMG_4.RAF": b"FUJIFILMCCD-RAW 0201",
        "clip.mov": b"\0\0\0\x14ftypqt  \0\0\0\0",
        "clip.avi": b"RIFF\0\0\0\0AVI LIST",
        "clip.webm": b"\x1a\x45\xdf\xa3" + bytes(20),
        "later.jxl": b"\xff\x0a" + bytes(20),
        "later.jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
        "all.zip": b"PK\3\4" + bytes(20),
        "program.exe": b"MZ" + bytes(200),
        "noise.bmp": b"BM" + bytes(range(256)),
        "noise.tif": b"II*\0" + bytes(range(256)),
        "noise.heic": b"\0\0\0\x18ftypheic" + bytes(200),
    }
    for name, content in contents.items():
        tree.write(f"squares/{name}", content, Fate.NAMED)
    tree.write("loose.jpg", tree.jpeg("disc"), Fate.LOOSE)
    tree.write("readme.txt", b"an archive's", Fate.LOOSE)


def _giants(tree: _Tree) -> None:
    """Films and fakes that take no room, and pictures of many pixels in few bytes."""
    tree.sparse("squares/film.mp4", 3 * GB, FILM_START)
    tree.sparse("squares/film.jpg", 3 * GB, FILM_START)
    tree.sparse("squares/giant 1.jpg", 3 * GB, JPEG_START)
    tree.sparse("squares/giant 2.png", 100 * MB, PNG_START)
    tree.sparse("squares/giant 3.png", 100 * MB, PNG_START)
    tree.sparse("squares/nothing.jpg", 30 * GB, b"")
    for i in range(2):
        grey = Image.new("I;16", (6000, 4000), 20_000 + i)
        tree.write(f"squares/scan {i}.png", encoded(grey, "PNG", compress_level=1))
        colours = Image.new("RGB", (6000, 4000), (200, 100 + i, 20))
        tree.write(f"squares/poster {i}.png", encoded(colours, "PNG", compress_level=1))
    panorama = Image.new("L", (20_000, 9_000), 90)
    tree.write("squares/panorama.jpg", encoded(panorama, "JPEG"))
    content = bytearray(encoded(tree.picture("squares"), "JPEG", progressive=True))
    frame = content.index(b"\xff\xc2")
    content[frame + 5 : frame + 9] = struct.pack(">HH", 20_000, 20_000)
    tree.write("squares/panorama progressive.jpg", bytes(content), Fate.NAMED)


def _junk(tree: _Tree) -> None:
    """What systems leave behind, in three letter cases, as files and as folders of pictures."""
    for name in JUNK:
        for spelled in sorted({name, name.lower(), name.upper()}):
            tree.write(f"disc/{spelled}", b"left behind", Fate.NOBODYS)
            tree.write(f"{spelled}/1.jpg", tree.jpeg("disc"), Fate.NOBODYS)
    for name in (".hidden.jpg", "._1.jpg", ".hidden/1.jpg"):
        tree.write(f"disc/{name}", tree.jpeg("disc"), Fate.NOBODYS)


def _png_header(width: int, height: int) -> bytes:
    """Return a PNG that says more than it holds."""
    content = bytearray(encoded(Image.new("RGB", (1, 1)), "PNG"))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)
