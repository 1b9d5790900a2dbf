"""Likely wrong labels and unusual pictures, as findings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrain.data.corrections import Corrections
from retrain.data.records import Picture
from retrain.evaluate.findings import Finding
from retrain.evaluate.label_errors import doubts
from retrain.evaluate.unusual import UNUSUAL, strangeness
from retrain.evaluate.verdicts import Verdict

_SOFT = 10.0  # spreads above UNUSUAL at which half of the score is reached


def label_findings(
    pictures: Sequence[Picture],
    labels: NDArray[np.integer],
    probabilities: NDArray[np.floating],
    categories: Sequence[str],
    corrections: Corrections,
) -> list[Finding]:
    """Return the labels that heads doubt which had not learned from the picture, worst first.

    Args:
        pictures: n of them.
        labels: int [n].
        probabilities: float [n, k], NaN where no head can judge.
        categories: k names.
        corrections: labels that a person confirmed are not doubted.
    """
    judged = np.flatnonzero(np.isfinite(probabilities).all(axis=1))
    if not len(judged) or len(categories) < 2:
        return []
    scores, own = probabilities[judged], labels[judged]
    found = doubts(scores, own)
    findings = []
    for place in found.wrong(own).tolist():
        picture, label, best = pictures[judged[place]], int(own[place]), int(found.best[place])
        if corrections.is_right(picture.sha256, picture.category):
            continue
        findings.append(
            Finding(
                kind="label",
                pictures=(picture.name,),
                category=picture.category,
                suggestion=categories[best],
                score=round(1 - float(found.margin[place]), 4),
                why=f"A head that had not seen it says {categories[best]!r} "
                f"({scores[place, best]:.2f}), not {categories[label]!r} "
                f"({scores[place, label]:.2f}).",
            )
        )
    return findings


def findings_of_verdicts(verdicts: Sequence[Verdict]) -> list[Finding]:
    """Return the labels that the verdicts of a training doubt, worst first."""
    wrong = [v for v in verdicts if not v.right]
    wrong.sort(key=lambda v: (v.true_score - v.score, v.name))
    return [
        Finding(
            kind="label",
            pictures=(v.name,),
            category=v.category,
            suggestion=v.guess,
            score=round((v.score - v.true_score + 1) / 2, 4),
            why=f"It was taken for {v.guess!r} ({v.score:.2f}), not {v.category!r} "
            f"({v.true_score:.2f}).",
        )
        for v in wrong
    ]


def unusual_findings(
    pictures: Sequence[Picture],
    labels: NDArray[np.integer],
    features: NDArray[np.float32],
    corrections: Corrections,
) -> list[Finding]:
    """Return the pictures that are far from the others of their category, the farthest first.

    Args:
        pictures: n of them.
        labels: int [n].
        features: float32 [n, d].
        corrections: pictures whose category a person confirmed are not doubted.
    """
    strange = strangeness(features, labels)
    rows = np.flatnonzero(strange >= UNUSUAL)
    findings = []
    for row in rows[np.argsort(-strange[rows], kind="stable")].tolist():
        picture = pictures[row]
        if corrections.is_right(picture.sha256, picture.category):
            continue
        beyond = float(strange[row]) - UNUSUAL
        findings.append(
            Finding(
                kind="unusual",
                pictures=(picture.name,),
                category=picture.category,
                suggestion="",
                score=round(0.4 + 0.5 * beyond / (beyond + _SOFT), 4),
                why=f"It looks unlike the other pictures of {picture.category!r}: it lies "
                f"{strange[row]:.0f} spreads farther out than is usual there.",
            )
        )
    return findings
