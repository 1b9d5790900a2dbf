"""What a model says of each labelled picture, and which pictures it gets most wrong."""

import csv
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.data.records import HELD_OUT
from retrain.errors import BundleError
from retrain.files import ENCODE_ERRORS, write_csv
from retrain.metrics import Evaluation, evaluate_guesses

PREDICTIONS = ("path", "side", "category", "guess", "score", "score_of_category", "loss")
CONFUSION = ("side", "category", "guess", "pictures")


@dataclass(frozen=True)
class Verdict:
    """One picture. category: the true one. score: of the guess; true_score: of the true category.

    side: of the split, or "" where there is none. loss: minus the natural logarithm of true_score.
    """

    name: str
    path: Path
    side: str
    category: str
    guess: str
    score: float
    true_score: float
    loss: float

    @property
    def right(self) -> bool:
        """Whether the guess is the true category."""
        return self.guess == self.category

    def as_dict(self) -> dict[str, Any]:
        """Return strings and numbers, ready for JSON."""
        return {**vars(self), "path": str(self.path), "right": self.right}


def verdicts(
    names: Sequence[str],
    paths: Sequence[Path],
    sides: Sequence[str],
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    categories: Sequence[str],
) -> list[Verdict]:
    """Return a verdict a picture, the greatest loss first.

    Args:
        names: of the pictures, as the user knows them.
        paths: where they lie.
        sides: where each comes from: a side of the split, "fold 3", or "".
        probabilities: float [n, k].
        labels: int [n].
        categories: k names.
    """
    found = []
    for i, (name, path) in enumerate(zip(names, paths, strict=True)):
        scores, label = probabilities[i], int(labels[i])
        best, true_score = int(scores.argmax()), float(scores[label])
        loss = float(-np.log(np.clip(np.float64(true_score), 1e-7, 1.0)))
        found.append(
            Verdict(
                *(name, path, sides[i], categories[label], categories[best]),
                *(float(scores[best]), true_score, loss),
            )
        )
    return worst_first(found)


def worst_first(found: Iterable[Verdict]) -> list[Verdict]:
    """Return verdicts, the greatest loss first."""
    return sorted(found, key=lambda verdict: (-verdict.loss, verdict.name))


def write_predictions(path: Path, found: Iterable[Verdict]) -> None:
    """Write verdicts as CSV, in their order."""
    rows = (
        (
            v.name,
            v.side,
            v.category,
            v.guess,
            f"{v.score:.6f}",
            f"{v.true_score:.6f}",
            f"{v.loss:.6f}",
        )
        for v in found
    )
    write_csv(path, PREDICTIONS, rows)


def write_confusion(path: Path, found: Iterable[Verdict]) -> None:
    """Write as CSV how often each category was taken for each, where that happened."""
    counts = Counter((v.side, v.category, v.guess) for v in found)
    rows = ((*cell, str(count)) for cell, count in sorted(counts.items()))
    write_csv(path, CONFUSION, rows)


def read_predictions(path: Path, data: Path | None) -> list[Verdict]:
    """Return the verdicts of a CSV.

    Args:
        path: as `write_predictions` wrote it.
        data: folder of the pictures; without it no path leads anywhere.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8", errors=ENCODE_ERRORS, newline="") as file:
            return [
                Verdict(
                    name=row["path"],
                    path=data / row["path"] if data else Path(os.devnull),
                    side=row["side"],
                    category=row["category"],
                    guess=row["guess"],
                    score=float(row["score"]),
                    true_score=float(row["score_of_category"]),
                    loss=float(row["loss"]),
                )
                for row in csv.DictReader(file)
            ]
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise BundleError(f"{path} cannot be read ({error}). Train again.") from error


def evaluate_verdicts(found: Sequence[Verdict], categories: Sequence[str]) -> Evaluation:
    """Score verdicts, at least one, of which only the guess and its score are known."""
    index = {name: i for i, name in enumerate(categories)}
    return evaluate_guesses(
        np.array([index[v.category] for v in found], np.int64),
        np.array([index[v.guess] for v in found], np.int64),
        np.array([v.score for v in found]),
        np.array([v.loss for v in found]),
        categories,
    )


def told_by(found: Iterable[Verdict], judged_by: str | None) -> list[Verdict]:
    """Return the verdicts that one figure of a run was made of.

    Args:
        found: of out-of-fold, validation and test pictures.
        judged_by: the figure's name in metrics.json; None for all.
    """
    if judged_by is None:
        return list(found)
    if judged_by in HELD_OUT:
        return [verdict for verdict in found if verdict.side == judged_by]
    return [verdict for verdict in found if verdict.side not in HELD_OUT]


def most_confused(found: Iterable[Verdict]) -> tuple[str, str, int] | None:
    """Return the category and the wrong guess that meet most often, if more than once."""
    pairs = Counter((v.category, v.guess) for v in found if not v.right)
    (category, guess), count = min(
        pairs.items(), key=lambda item: (-item[1], item[0]), default=(("", ""), 0)
    )
    return (category, guess, count) if count > 1 else None
