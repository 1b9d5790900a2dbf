"""Which cues tell a category by themselves; pure, like the cues."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.records import Picture
from retrain.data.stream import evenly
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
MOST_OTHERS = 400  # pictures beside a category's own in which an overlay is looked for
MARKS: tuple[CueName, ...] = ("border", "overlay")
DETAIL: tuple[CueName, ...] = ("size", "sharpness")  # which one category has less of


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
    columns = {cue: looks.columns(cue) for cue in CUES if cue != "overlay"}
    found = []
    for category in range(len(judged.categories)):
        for cue in CUES:
            if category == 1 and len(judged.categories) == 2 and cue not in (*MARKS, *DETAIL):
                continue  # what tells one of two tells the other
            if cue == "overlay":
                one = _overlay(judged, looks.records["grey"], category)
            else:
                one = _plain(judged, cue, columns[cue], category)
            found += [one] if one else []
    return sorted(found, key=lambda one: -one.area)


def _plain(judged: Judged, cue: CueName, columns: Values, category: int) -> Candidate | None:
    """Try a cue that is numbers [n, m]."""
    if (columns == columns[0]).all():
        return None
    own = judged.labels == category
    scores = scores_of(columns, judged.labels, judged.fold, category)
    strength = columns.max(axis=1) if cue == "border" else scores
    if cue == "border" and strength[own].mean() <= strength[~own].mean():
        return None  # the others have it
    area = auroc(scores, own)
    return Candidate(cue, category, area, strength) if _tells(judged, own, area) else None


def _overlay(judged: Judged, grey: NDArray[np.uint8], category: int) -> Candidate | None:
    """Look for something that is the same in all pictures; beside it, some others are enough."""
    own = judged.labels == category
    others = evenly(np.flatnonzero(~own).tolist(), MOST_OTHERS)
    rows = np.sort(np.concatenate([np.flatnonzero(own), np.array(others, np.int64)]))
    overlay = find_overlay(grey[rows], own[rows])
    if overlay is None:
        return None
    scores = overlay_scores(grey[rows], judged.labels[rows], judged.fold[rows], category)
    area = 0.0 if scores is None else auroc(scores, own[rows])
    if not _tells(judged, own, area):
        return None
    return Candidate("overlay", category, area, overlay.scores(grey), overlay)


def _tells(judged: Judged, own: NDArray[np.bool_], area: float) -> bool:
    """Tell whether an area is large, and no chance; pictures that belong together count once."""
    independent = len({group for group, o in zip(judged.groups, own, strict=True) if o})
    others = len(set(judged.groups)) - independent
    return area >= AREA and surprise(area, independent, others) >= SURPRISE
