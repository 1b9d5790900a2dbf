"""Copies and series that contradict each other or stand on two sides, as findings."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrain.data.corrections import Corrections
from retrain.data.records import Picture
from retrain.data.relations import COPIES, SAME, Relation
from retrain.evaluate.findings import Finding, Kind
from retrain.progress import counted

MOST_SHOWN = 12  # pictures of one finding

Group = list[int]  # rows of pictures


def related_findings(
    pictures: Sequence[Picture],
    relations: Iterable[Relation],
    corrections: Corrections,
    guesses: NDArray[np.floating] | None,
    categories: Sequence[str],
) -> list[Finding]:
    """Return groups of related pictures that lie in two categories or on two sides of the user's.

    Mirrored and recoloured copies in two categories contradict nothing: arrows to the left and to
    the right are such.

    Args:
        pictures: all of them.
        relations: between their contents.
        corrections: whose confirmed categories contradict nobody.
        guesses: float [n, k], probabilities by heads that had not learned from the picture; NaN
            where there are none. None without.
        categories: k names.
    """
    known = [r for r in relations if not r.refused]
    same = _groups(pictures, (r for r in known if r.kind in SAME))
    copies = _groups(pictures, (r for r in known if r.kind in COPIES))
    series = _groups(pictures, known)
    found = []
    for group in same:
        if len(_homes(pictures, group)) > 1 and _open(pictures, group, corrections):
            found.append(_contradiction(pictures, group, guesses, categories))
    told = {row for one in same for row in one if len(_homes(pictures, one)) > 1}
    for group in copies:
        if len(_sides(pictures, group)) > 1:
            found.append(_on_two_sides(pictures, group, "copy", 0.8))
            told |= set(group)
    for group in series:
        if told.intersection(group):
            continue
        if len(_sides(pictures, group)) > 1:
            found.append(_on_two_sides(pictures, group, "series", 0.5))
        elif len(_homes(pictures, _open(pictures, group, corrections))) > 1:
            found.append(_series(pictures, group))
    return found


def _groups(pictures: Sequence[Picture], relations: Iterable[Relation]) -> list[Group]:
    """Return the rows of pictures that relations and equal contents join, two or more."""
    parent: dict[str, str] = {picture.sha256: picture.sha256 for picture in pictures}

    def root(content: str) -> str:
        while parent[content] != content:
            parent[content] = parent[parent[content]]
            content = parent[content]
        return content

    for relation in relations:
        if relation.first in parent and relation.second in parent:
            parent[root(relation.first)] = root(relation.second)
    groups: dict[str, Group] = defaultdict(list)
    for row, picture in enumerate(pictures):
        groups[root(picture.sha256)].append(row)
    return [group for group in groups.values() if len(group) > 1]


def _homes(pictures: Sequence[Picture], group: Group) -> Counter[str]:
    return Counter(pictures[row].category for row in group)


def _sides(pictures: Sequence[Picture], group: Group) -> set[str]:
    return {side for row in group if (side := pictures[row].side)}


def _open(pictures: Sequence[Picture], group: Group, corrections: Corrections) -> Group:
    """Return the pictures of a group whose category nobody confirmed."""
    said = corrections.is_right
    return [row for row in group if not said(pictures[row].sha256, pictures[row].category)]


def _contradiction(
    pictures: Sequence[Picture],
    group: Group,
    guesses: NDArray[np.floating] | None,
    categories: Sequence[str],
) -> Finding:
    homes = _homes(pictures, group)
    support: Mapping[str, float] = {home: float(count) for home, count in homes.items()}
    if guesses is not None and np.isfinite(guesses[group]).all():
        mean = guesses[group].mean(axis=0)
        support = {home: float(mean[categories.index(home)]) for home in homes}
    likely = max(sorted(support), key=lambda home: support[home])
    rows = sorted(group, key=lambda row: (pictures[row].category == likely, pictures[row].name))
    names = tuple(pictures[row].name for row in rows[:MOST_SHOWN])
    places = " and ".join(repr(home) for home in sorted(homes))
    return Finding(
        kind="copy",
        pictures=names,
        category=pictures[rows[0]].category,
        suggestion=likely,
        score=1.0,
        why=f"{counted(len(group), 'copy', 'copies')} of one picture lie in {places}, of which "
        f"one must be wrong; {likely!r} seems right.",
    )


def _on_two_sides(pictures: Sequence[Picture], group: Group, kind: Kind, score: float) -> Finding:
    sides = " and ".join(sorted(_sides(pictures, group)))
    what = "Copies of one picture" if kind == "copy" else "Pictures of one series"
    rows = sorted(group, key=lambda row: (pictures[row].side == "train", pictures[row].name))
    return Finding(
        kind=kind,
        pictures=tuple(pictures[row].name for row in rows[:MOST_SHOWN]),
        category=pictures[rows[0]].category,
        suggestion="",
        score=score,
        why=f"{what} ({len(group)}) are for {sides}: figures of a side flatter a model that has "
        "learned from the other. Keep them on one side.",
    )


def _series(pictures: Sequence[Picture], group: Group) -> Finding:
    homes = _homes(pictures, group)
    most = max(sorted(homes), key=lambda home: homes[home])
    rows = sorted(group, key=lambda row: (pictures[row].category == most, pictures[row].name))
    places = ", ".join(f"{count} in {home!r}" for home, count in sorted(homes.items()))
    return Finding(
        kind="series",
        pictures=tuple(pictures[row].name for row in rows[:MOST_SHOWN]),
        category=pictures[rows[0]].category,
        suggestion="",
        score=0.3,
        why=f"{counted(len(group), 'picture')} of one series lie in several categories ({places}). "
        "Are all of them right?",
    )
