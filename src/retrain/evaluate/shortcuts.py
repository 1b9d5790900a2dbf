"""Shortcuts: what is no part of the thing shown, tells a category by itself, and moves the model.

Two things must be true before one is raised. The cue by itself ranks pictures of a category above
others, cross-fitted; and the model's answers change if the cue is taken away from its pictures, or
brought into others, by more than the same change of other pictures does. Colour is information.
"""

import math

import numpy as np

from retrain.data.images import PixelRules
from retrain.evaluate.cue_candidates import MARKS, Candidate, Judged, candidates
from retrain.evaluate.cue_trials import Answer, Moved, Trial
from retrain.evaluate.cues import CueName, Looks
from retrain.evaluate.findings import Finding

MOST_TRIED = 6  # cues, those that tell most first


def shortcut_findings(
    judged: Judged, looks: Looks, rules: PixelRules, answer: Answer
) -> list[Finding]:
    """Return the cues that tell a category by themselves and move the model.

    Args:
        judged: pictures with their labels.
        looks: what they look like from the outside.
        rules: how they become the model's pixels.
        answer: what the model thinks of changed pixels.
    """
    found: list[Finding] = []
    marked: set[int] = set()  # categories with a mark, from which other cues follow
    few = candidates(judged, looks)[:MOST_TRIED]
    for candidate in sorted(few, key=lambda one: one.cue not in MARKS):
        if candidate.category in marked and candidate.cue not in MARKS:
            continue
        moved = Trial(judged, looks, rules, answer, candidate).moved()
        if moved.counts(candidate):
            found.append(_finding(judged, candidate, moved))
            if candidate.cue in MARKS:  # of two categories, what tells one tells the other
                marked |= {0, 1} if len(judged.categories) == 2 else {candidate.category}
    return found


_SAID: dict[CueName, str] = {
    "border": "a plain border",
    "overlay": "the same stamp, logo or bar",
    "format": "the file format",
    "size": "the size in pixels",
    "aspect": "the shape (width by height)",
    "sharpness": "the sharpness",
    "brightness": "the brightness",
    "camera": "the camera",
}
_REMEDIES: dict[CueName, str] = {
    "border": "Cut the border off all pictures",
    "overlay": "Cut it off all pictures, or cover the same place in all",
    "format": "Save all pictures in one format",
    "size": "Take pictures of one size in all categories",
    "aspect": "Cut all pictures to one shape, or train with --fit pad",
    "sharpness": "Take pictures of all categories in the same way",
    "brightness": "Take pictures of all categories in the same light",
    "camera": "Take pictures of all categories with the same cameras",
}


def _finding(judged: Judged, candidate: Candidate, moved: Moved) -> Finding:
    category = judged.categories[candidate.category]
    rows = np.flatnonzero(judged.labels == candidate.category)
    rows = rows[np.argsort(-candidate.strength[rows], kind="stable")]
    return Finding(
        kind="shortcut",
        pictures=tuple(judged.pictures[row].name for row in rows[:12]),
        category=category,
        suggestion="",
        score=round(0.9 + 0.1 * (2 * candidate.area - 1), 3),
        why=f"{_subject(candidate, category)} (area under the curve "
        f"{candidate.area:.2f}), and the model uses it: {moved.how} changes its odds "
        f"{_fold(moved.by)}. {_REMEDIES[candidate.cue]}, and "
        "train again.",
    )


def _fold(by: float) -> str:
    """Say how much odds change that change by so much in logarithms.

    >>> _fold(0.2), _fold(2.0)
    ('1.2-fold', '7-fold')
    """
    factor = math.exp(by)
    return f"{factor:.1f}-fold" if factor < 3 else f"{factor:.0f}-fold"


def _subject(candidate: Candidate, category: str) -> str:
    said = _SAID[candidate.cue]
    if candidate.overlay is not None:
        left, upper, right, lower = candidate.overlay.box
        said = f"{said} {_where((left + right) / 2, (upper + lower) / 2)}"
    return f"{said[0].upper()}{said[1:]} gives {category!r} away"


def _where(across: float, down: float) -> str:
    """Name a place of a picture.

    >>> _where(0.1, 0.9), _where(0.5, 0.5)
    ('in the lower left', 'in the middle')
    """
    row = "upper" if down < 1 / 3 else "lower" if down > 2 / 3 else ""
    column = "left" if across < 1 / 3 else "right" if across > 2 / 3 else ""
    if not row and not column:
        return "in the middle"
    if not row:
        return f"on the {column}"
    return f"in the {row} {column or 'middle'}"
