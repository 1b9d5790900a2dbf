"""Shortcuts of a checked workspace: cues of some pictures, tried on the model that it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrain.data.fingerprints import Fingerprints
from retrain.data.headers import Header
from retrain.data.images import BadPicture, Pixels, decode, read_bytes
from retrain.data.records import Picture
from retrain.data.stream import evenly, ordered
from retrain.evaluate.cue_candidates import Judged
from retrain.evaluate.cue_trials import Answer
from retrain.evaluate.cues import Looks
from retrain.evaluate.findings import Finding
from retrain.evaluate.interventions import MEASURED, sharpness
from retrain.evaluate.shortcuts import shortcut_findings
from retrain.infer.answers import Answers
from retrain.jobs.known_features import Known
from retrain.jobs.rough_heads import Heads
from retrain.progress import Reporter
from retrain.run import Run
from retrain.training.folds import UNJUDGED

MOST = 2000  # pictures in which cues are looked for, evenly of all categories
AHEAD = 64  # pictures in flight


@dataclass(frozen=True)
class Mind:
    """What can be asked about changed pixels. run: None before the first training."""

    run: Run | None
    heads: Heads
    known: Known


def find_shortcuts(
    judged: Judged,
    mind: Mind,
    records: Fingerprints,
    seen: Sequence[Header],
    report: Reporter,
) -> list[Finding]:
    """Return the cues that tell a category by themselves and move the model.

    Args:
        judged: all pictures.
        mind: the model, or the heads that stand for it.
        records: fingerprints of the pictures.
        seen: their headers.
        report: shows progress.
    """
    rows = _some(judged.labels, judged.fold)
    if not len(rows):
        return []
    some = Judged(
        [judged.pictures[row] for row in rows],
        judged.labels[rows],
        judged.fold[rows],
        [judged.groups[row] for row in rows],
        judged.categories,
    )
    sharp = measure_sharpness(some.pictures, report)
    looks = Looks(records[rows], [seen[row] for row in rows], sharp)
    answers = ModelAnswers(mind, some)
    return shortcut_findings(some, looks, answers.rules, answers)


def _some(labels: NDArray[np.integer], fold: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return rows of judged pictures, spread over each category."""
    count = int(labels.max()) + 1
    chosen: list[int] = []
    for label in range(count):
        own = np.flatnonzero((labels == label) & (fold != UNJUDGED)).tolist()
        chosen += evenly(own, max(20, MOST // count))
    return np.array(sorted(chosen), np.int64)


def measure_sharpness(pictures: Sequence[Picture], report: Reporter) -> NDArray[np.float64]:
    """Return the sharpness of each picture, float64 [n]; 0 where it can no longer be read."""

    def measure(picture: Picture) -> float:
        try:
            return sharpness(decode(read_bytes(picture.path), MEASURED))
        except BadPicture:  # it has gone since
            return 0.0

    found = []
    with report.bar("looking for shortcuts", len(pictures)) as advance:
        for value in ordered(measure, pictures, AHEAD):
            found.append(value)
            advance(1)
    return np.array(found)


class ModelAnswers:
    """What the model says of changed pixels; it is opened when it is first asked.

    rules: how pictures become the pixels that it is asked about.
    """

    def __init__(self, mind: Mind, judged: Judged) -> None:
        self._mind, self._judged = mind, judged
        self._tuned = mind.run if mind.run and mind.run.manifest.kept != "head" else None
        self.rules = self._tuned.rules if self._tuned else mind.known.rules

    @cached_property
    def _answer(self) -> Answer:
        return self._of_tuned(self._tuned) if self._tuned else self._of_heads()

    def __call__(self, pixels: Pixels, rows: NDArray[np.integer]) -> NDArray[np.floating]:
        """Return probabilities [m, k] of changed pictures, given their rows; see `Answer`."""
        return self._answer(pixels, rows)

    def _of_tuned(self, run: Run) -> Answer:
        """Return what a fine-tuned model says."""
        model, names = Answers(run), list(run.manifest.labels)
        columns = np.array([names.index(c) if c in names else -1 for c in self._judged.categories])

        def answer(pixels: Pixels, rows: NDArray[np.integer]) -> NDArray[np.floating]:
            said = model(pixels).probabilities
            return np.where(columns >= 0, said[:, columns], np.float32(0))

        return answer

    def _of_heads(self) -> Answer:
        """Return what heads say that had not learned from the picture."""
        heads, forward, fold = self._mind.heads, self._mind.known.open_forward(), self._judged.fold

        def answer(pixels: Pixels, rows: NDArray[np.integer]) -> NDArray[np.floating]:
            return heads.say(forward(pixels), fold[rows])

        return answer
