"""What a file is, told by its first bytes: of which formats it may be, or what else it is."""

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF", "HEIF")
START = 4096  # bytes that tell what a file is

_Magic = tuple[int, tuple[bytes, ...]]  # offset, and what may stand there
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_EITHER = (b"mif1", b"msf1")  # a container that holds HEVC or AV1
# As Pillow's plugins have them; tests compare.
_PICTURES: dict[str, _Magic] = {
    "JPEG": (0, (b"\xff\xd8\xff",)),
    "PNG": (0, (b"\x89PNG\r\n\x1a\n",)),
    "GIF": (0, (b"GIF87a", b"GIF89a")),
    "BMP": (0, (b"BM",)),
    "WEBP": (8, (b"WEBP",)),
    "TIFF": (0, (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"II\0*", b"MM*\0")),
    "PPM": (0, tuple(b"P" + bytes([letter]) for letter in b"0123456fy")),
    "AVIF": (4, tuple(b"ftyp" + brand for brand in (b"avif", b"avis", *_EITHER))),
    "HEIF": (4, tuple(b"ftyp" + brand for brand in (*_HEIF_BRANDS, *_EITHER))),
}

_EXPORT = "export it as JPEG or PNG"
_FRAMES = "`retrain frames` takes pictures out of it"
_FILM_BRANDS = (b"iso", b"mp4", b"avc1", b"M4V", b"3g", b"dash", b"MSNV", b"f4v", b"XAVC")
RAW = f"a camera's raw file; {_EXPORT}"
_OTHERS: tuple[tuple[_Magic, str], ...] = (
    ((8, (b"CR\x02",)), RAW),  # it begins like a TIFF
    ((4, (b"ftypcrx ",)), RAW),
    ((0, (b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW")), RAW),
    ((0, (b"%PDF-",)), "a PDF document; export its pages as JPEG or PNG"),
    ((0, (b"8BPS",)), f"a Photoshop document (PSD); {_EXPORT}"),
    ((0, (b"\0\0\0\x0cjP  ",)), f"a JPEG 2000 picture; {_EXPORT}"),
    ((0, (b"\0\0\0\x0cJXL ", b"\xff\x0a")), f"a JPEG XL picture; {_EXPORT}"),
    ((0, (b"PK\x03\x04",)), "a ZIP archive; `retrain import` unpacks it"),
    ((4, tuple(b"ftyp" + brand for brand in _FILM_BRANDS)), f"a film (MP4); {_FRAMES}"),
    ((4, (b"ftypqt", b"moov", b"mdat", b"wide")), f"a film (MOV); {_FRAMES}"),
    ((8, (b"AVI ",)), f"a film (AVI); {_FRAMES}"),
    ((0, (b"\x1a\x45\xdf\xa3",)), f"a film (Matroska or WebM); {_FRAMES}"),
)
_SVG = f"a vector drawing (SVG); {_EXPORT}"


def possible_formats(start: bytes) -> tuple[str, ...]:
    """Return of which FORMATS a file may be.

    >>> possible_formats(b"GIF89a"), possible_formats(b"%PDF-1.7")
    (('GIF',), ())
    """
    if _begins(start, _OTHERS[0][0]):
        return ()
    return tuple(name for name in FORMATS if _begins(start, _PICTURES[name]))


def other_kind(start: bytes) -> str:
    """Say what a file is that is of none of the FORMATS, and what can be done about it.

    Args:
        start: its first START bytes, or all it has.

    >>> other_kind(b"%PDF-1.7")
    'a PDF document; export its pages as JPEG or PNG'
    >>> other_kind(b"<html>")
    "no picture format that can be read (starts with '<html>')"
    """
    for magic, kind in _OTHERS:
        if _begins(start, magic):
            return kind
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text:
        return _SVG
    shown = start[:12].decode("ascii", errors="replace")
    return f"no picture format that can be read (starts with {shown!a})"


def _begins(start: bytes, magic: _Magic) -> bool:
    offset, those = magic
    return start.startswith(those, offset)
