"""Which cues tell a category by themselves; pure, like the cues."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.records import Picture
from retrain.evaluate.cues import (
    CUES,
    CueName,
    Looks,
    Overlay,
    Values,
    auroc,
    find_overlay,
    overlay_scores,
    scores_of,
    surprise,
)

AREA, SURPRISE = 0.75, 4.0  # from which a cue counts; of the area, of its standard errors
MARKS: tuple[CueName, ...] = ("border", "overlay")


@dataclass(frozen=True)
class Judged:
    """The pictures that cues are looked for in, and how they are told.

    pictures: n of them. labels: int [n]. fold: int [n], what belongs together is in one.
    groups: of what belongs together, by picture. categories: k names.
    """

    pictures: Sequence[Picture]
    labels: NDArray[np.integer]
    fold: NDArray[np.integer]
    groups: Sequence[str]
    categories: Sequence[str]


@dataclass(frozen=True)
class Candidate:
    """A cue that tells a category by itself. area: of the ROC curve. strength: float [n], by row.

    overlay: where it is one.
    """

    cue: CueName
    category: int
    area: float
    strength: Values
    overlay: Overlay | None = None


def candidates(judged: Judged, looks: Looks) -> list[Candidate]:
    """Return the cues that tell a category by themselves, those that tell most first."""
    found = []
    for category in range(len(judged.categories)):
        if len(judged.categories) == 2 and category == 1:
            found += _candidates(judged, looks, category, ("border", "overlay"))
        else:
            found += _candidates(judged, looks, category, CUES)
    return sorted(found, key=lambda one: -one.area)


def _candidates(
    judged: Judged, looks: Looks, category: int, cues: Sequence[CueName]
) -> list[Candidate]:
    own, grey, found = judged.labels == category, looks.records["grey"], []
    independent = len({g for g, o in zip(judged.groups, own, strict=True) if o})
    others = len(set(judged.groups)) - independent
    for cue in cues:
        overlay = None
        if cue == "overlay":
            scores = overlay_scores(grey, judged.labels, judged.fold, category)
            overlay = find_overlay(grey, own)
            if scores is None or overlay is None:
                continue
            strength = overlay.scores(grey)
        else:
            columns = looks.columns(cue)
            if (columns == columns[0]).all():
                continue
            scores = scores_of(columns, judged.labels, judged.fold, category)
            strength = columns.max(axis=1) if cue == "border" else scores
        if cue == "border" and not strength[own].mean() > strength[~own].mean():
            continue
        area = auroc(scores, own)
        if area >= AREA and surprise(area, independent, others) >= SURPRISE:
            found.append(Candidate(cue, category, area, strength, overlay))
    return found
