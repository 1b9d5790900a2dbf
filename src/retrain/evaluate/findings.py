"""What may be wrong with the pictures: findings of every kind, in one ranked list."""

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from retrain.files import ENCODE_ERRORS, write_csv, write_json

Kind = Literal["label", "copy", "series", "unusual", "shortcut", "quality"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# What each kind is called before its number of findings.
TITLES: dict[Kind, str] = {
    "label": "likely wrong labels",
    "copy": "copies that contradict each other",
    "series": "series across categories or sides",
    "unusual": "unusual pictures",
    "shortcut": "shortcuts",
    "quality": "too few, too small, too dark",
}
JSON, CSV = "check.json", "check.csv"  # in the workspace
KIND_NAMES: dict[Kind, str] = {  # of one finding
    "label": "likely a wrong label",
    "copy": "copies",
    "series": "one series",
    "unusual": "unusual",
    "shortcut": "shortcut",
    "quality": "quality",
}
COLUMNS = ("rank", "kind", "score", "category", "suggestion", "picture", "why")


@dataclass(frozen=True)
class Finding:
    """One thing that a person should look at.

    pictures: paths relative to the data folder, "/" between parts, the doubtful one first.
    category: of the first picture, or the one that the finding is about.
    suggestion: the category where the first picture seems to belong; "" where none is suggested.
    score: 0..1, how much speaks for it and how much it matters; it ranks findings of all kinds.
    why: in words, a sentence or two.
    """

    kind: Kind
    pictures: tuple[str, ...]
    category: str
    suggestion: str
    score: float
    why: str


def ranked(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, the highest score first; of equal ones in the order of kinds and names."""
    return sorted(
        findings, key=lambda one: (-one.score, KINDS.index(one.kind), one.category, one.pictures)
    )


def of_kind(findings: Iterable[Finding], kind: Kind) -> list[Finding]:
    """Return the findings of one kind, in their order."""
    return [one for one in findings if one.kind == kind]


def to_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON values, in their order."""
    return [{**asdict(one), "pictures": list(one.pictures)} for one in findings]


def from_json(values: Iterable[Any]) -> list[Finding]:
    """Return the findings of JSON values; what is no finding is left out."""
    found = []
    for value in values:
        with contextlib.suppress(TypeError, ValueError, KeyError):
            if value["kind"] in KINDS:
                found.append(
                    Finding(
                        kind=value["kind"],
                        pictures=tuple(map(str, value["pictures"])),
                        category=str(value["category"]),
                        suggestion=str(value["suggestion"]),
                        score=float(value["score"]),
                        why=str(value["why"]),
                    )
                )
    return found


def write_findings(folder: Path, findings: Sequence[Finding]) -> None:
    """Write check.json and check.csv, which has a line for each picture of each finding.

    Raises:
        OSError: they cannot be written.
    """
    write_json(folder / JSON, to_json(findings))
    rows = (
        (str(rank), one.kind, f"{one.score:.3f}", one.category, one.suggestion, name, one.why)
        for rank, one in enumerate(findings, start=1)
        for name in one.pictures or ("",)
    )
    write_csv(folder / CSV, COLUMNS, rows)


def read_findings(folder: Path) -> list[Finding]:
    """Return what the last check found; none where there was none, or it cannot be read."""
    try:
        text = (folder / JSON).read_text(encoding="utf-8", errors=ENCODE_ERRORS)
        values = json.loads(text)
    except (OSError, ValueError):
        return []
    return from_json(values) if isinstance(values, list) else []
