"""Where pictures came from: `sources.csv` beside the data folder, which gathering keeps.

A picture is known by its content, so that it may be renamed and moved.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from retrain.files import ENCODE_ERRORS

SOURCES = "sources.csv"
COLUMNS = (
    *("path", "sha256", "category", "job", "source", "status", "reason", "group", "when"),
    "licence",
)
KEPT = "kept"  # the status of what lies in the data folder
VARY = "vary"  # the job whose pictures only teach; their group is the sha256 of their original
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Origin:
    """What is known of a gathered picture.

    job: that brought it: download, frames, import or vary.
    group: what it belongs to, such as a scene of a film; "" for nothing.
    varies: the sha256 of the picture that it was made of; "" for one that stands for itself.
    """

    job: str
    group: str = ""
    varies: str = ""


def read_sources(path: Path) -> list[dict[str, str]]:
    """Return the rows of a sources.csv; none where it is missing or something else.

    A killed process may have left half a line at the end of what it wrote; it is left out.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors=ENCODE_ERRORS)
    except OSError:
        return []
    lines = text.replace("\0", "").splitlines(keepends=True)
    try:
        rows = list(csv.DictReader(lines))
    except csv.Error:
        return []
    return [
        {name: row.get(name) or "" for name in COLUMNS}
        for row in rows
        if row.get("status") and row.get("job")
    ]


def origins(rows: Iterable[Mapping[str, str]]) -> dict[str, Origin]:
    """Return what rows of a sources.csv say of each content, by its sha256, hex.

    What stands for itself by one row does so whatever another says.
    """
    found: dict[str, Origin] = {}
    for row in rows:
        sha256, known = row["sha256"], found.get(row["sha256"])
        if row["status"] != KEPT or not _SHA256.fullmatch(sha256):
            continue
        varied = row["job"] == VARY
        if varied and not _SHA256.fullmatch(row["group"]):
            continue
        if varied and (known is None or known.varies):
            found[sha256] = Origin(VARY, "", row["group"])
        elif not varied and (known is None or known.varies or not known.group):
            found[sha256] = Origin(row["job"], row["group"])
    return found
