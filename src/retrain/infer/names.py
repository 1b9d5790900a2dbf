"""How copies are named: by category and score, or as their sources are."""

import os
import re
import unicodedata
from pathlib import PurePath

# By Windows, the strictest; a dot in front would hide the file, and half a character has no UTF-8.
_FORBIDDEN = re.compile(r'^\.|[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]')
# Windows takes these for devices, whatever their suffix; the last two are ours.
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|com\d|lpt\d)(?=\.|$)|results\.(?:csv|json)$", re.IGNORECASE
)
# No number looks like a score: it starts with 2 and has no zeros in front.
_NUMBERED = re.compile(r"(.*-[01]\.\d{5})(?:-(\d+))?(\.[^.]*)?", re.DOTALL)
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}")
_LONGEST = 180  # bytes of a category or an original in a name; file systems allow 255 for all


def own_suffix(name: str) -> str:
    """Return a file's suffix as it is written, if it looks like one.

    >>> own_suffix("a.JPG"), own_suffix("Mr. d?sc:")
    ('.JPG', '')
    """
    suffix = PurePath(name).suffix
    return suffix if _SUFFIX.fullmatch(suffix) else ""


def safe_name(category: str) -> str:
    """Return a category as a part of a file name that every file system takes.

    >>> safe_name("../../x"), safe_name("a/b: c?"), safe_name(".")
    ('_._.._x', 'a_b_ c_', '_')
    """
    return _shortened(_FORBIDDEN.sub("_", category.strip())) or "_"


def folder_name(category: str) -> str:
    """Return a category as the name of a folder that every file system takes.

    >>> folder_name("etc."), folder_name("Aux"), folder_name("results.csv")
    ('etc', 'Aux_', 'results.csv_')
    """
    return _unreserved(safe_name(category).rstrip(" .") or "_")


def kept_name(original: str) -> tuple[str, str]:
    """Return a file's own name in two parts, stem and suffix, as every file system takes it.

    >>> kept_name("IMG_1.JPG"), kept_name("12:30 é.png"), kept_name("no suffix")
    (('IMG_1', '.JPG'), ('12_30 é', '.png'), ('no suffix', ''))
    """
    suffix = own_suffix(original)
    stem = _shortened(_FORBIDDEN.sub("_", original.removesuffix(suffix)))
    return _unreserved((stem if suffix else stem.rstrip(" .")) or "_"), suffix


def numbered(stem: str, suffix: str, number: int) -> str:
    """Return the name of the first, second ... copy that wants one name.

    >>> numbered("cat-0.99000", ".jpg", 1), numbered("cat-0.99000", ".jpg", 2)
    ('cat-0.99000.jpg', 'cat-0.99000-2.jpg')
    """
    return f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}"


def name_and_number(copy: str, source: str = "") -> tuple[str, int]:
    """Split what `numbered` put together; the source tells where a name that was kept ends.

    >>> name_and_number("cat-0.99000.jpg"), name_and_number("cat-0.99000-2.jpg")
    (('cat-0.99000.jpg', 1), ('cat-0.99000.jpg', 2))
    >>> name_and_number("cat/a-2.jpg", "/a.jpg"), name_and_number("cat/a-2.jpg", "/a-2.jpg")
    (('cat/a.jpg', 2), ('cat/a-2.jpg', 1))
    """
    found = _NUMBERED.fullmatch(copy)
    if found is not None:
        return f"{found[1]}{found[3] or ''}", int(found[2] or 1)
    stem, suffix = kept_name(os.path.basename(source))  # noqa: PTH119 - of a string
    place, name = os.path.split(copy)
    number = name.removeprefix(f"{stem}-").removesuffix(suffix)
    if number.isdecimal() and name == numbered(stem, suffix, int(number)):
        return os.path.join(place, f"{stem}{suffix}"), int(number)  # noqa: PTH118 - of strings
    return copy, 1


def is_named_by_score(copy: str, category: str, score: str) -> bool:
    """Tell whether a copy's name says this category and score, whatever its number and suffix."""
    found = _NUMBERED.fullmatch(copy)
    return found is not None and found[1] == f"{safe_name(category)}-{score}"


def blind(name: str) -> bytes:
    """Return what two names have in common that are one on macOS and Windows."""
    return os.fsencode(unicodedata.normalize("NFC", name.casefold()))


def _shortened(text: str) -> str:
    return text.encode()[:_LONGEST].decode(errors="ignore")


def _unreserved(name: str) -> str:
    """Return a name with an underscore where it would mean something else.

    >>> _unreserved("nul.jpg"), _unreserved("nullify")
    ('nul_.jpg', 'nullify')
    """
    found = _RESERVED.match(name)
    return f"{name[: found.end()]}_{name[found.end() :]}" if found else name
