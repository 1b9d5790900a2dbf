"""What is known of two related pictures, and how it stands in a run's related.csv."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from retrain.data.records import Picture

Kind = Literal["identical pixels", "copy", "mirrored copy", "recoloured copy", "series"]
KINDS: tuple[Kind, ...] = get_args(Kind)
COPIES: tuple[Kind, ...] = KINDS[:4]  # join whatever they join
SAME: tuple[Kind, ...] = KINDS[:2]  # show the same, so that two categories contradict each other

COLUMNS = ("sha256", "other", "kind", "likeness", "evidence", "refused", "path", "other_path")
YES = "yes"


@dataclass(frozen=True)
class Relation:
    """Two files with different contents that belong together.

    first, second: sha256 of the contents, hex, the smaller one first.
    likeness: 0..1, to compare relations of one kind; evidence: in words.
    refused: the user says that they do not belong together.
    """

    first: str
    second: str
    kind: Kind
    likeness: float
    evidence: str
    refused: bool = False

    @property
    def pair(self) -> tuple[str, str]:
        """Return both contents, the smaller sha256 first."""
        return self.first, self.second


def to_rows(relations: Iterable[Relation], pictures: Iterable[Picture]) -> list[tuple[str, ...]]:
    """Return relations as rows of COLUMNS; the path is empty where a picture is gone."""
    paths: dict[str, str] = {}
    for picture in pictures:
        paths.setdefault(picture.sha256, picture.name)
    return [
        (
            relation.first,
            relation.second,
            relation.kind,
            f"{relation.likeness:.3f}",
            relation.evidence,
            YES if relation.refused else "",
            paths.get(relation.first, ""),
            paths.get(relation.second, ""),
        )
        for relation in relations
    ]


def from_rows(rows: Iterable[Mapping[str, str]]) -> list[Relation]:
    """Return the relations of a related.csv, in which people may have written `yes` as refused.

    Rows that were damaged are left out: what they said is found again.
    """
    found = []
    for row in rows:
        kind = next((kind for kind in KINDS if kind == row.get("kind")), None)
        first, second = sorted((row.get("sha256") or "", row.get("other") or ""))
        if kind is None or not first or first == second:
            continue
        refused = (row.get("refused") or "").strip().lower() not in ("", "no", "false", "0")
        found.append(
            Relation(
                first,
                second,
                kind,
                _number(row.get("likeness")),
                row.get("evidence") or "",
                refused,
            )
        )
    return found


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def with_previous(found: Sequence[Relation], previous: Iterable[Relation]) -> list[Relation]:
    """Put relations of an earlier run beside those of this one.

    What was found once stands, whichever features found it and whether or not its pictures are
    there; what the user refused stays refused. This run's kind and evidence replace the old ones.
    """
    old = {relation.pair: relation for relation in previous}
    refused = {pair for pair, relation in old.items() if relation.refused}
    new = {relation.pair: relation for relation in found if relation.pair not in refused}
    return sorted({**old, **new}.values(), key=lambda relation: relation.pair)
