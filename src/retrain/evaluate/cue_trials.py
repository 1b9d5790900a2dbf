"""Cues tried on the model: taken away from pictures, and brought into others."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain.data.images import BadPicture, PixelRules, Pixels, decode, fit_pixels, read_bytes
from retrain.evaluate import interventions
from retrain.evaluate.cue_candidates import MARKS, Candidate, Judged
from retrain.evaluate.cues import CueName, Looks, Values
from retrain.evaluate.interventions import Change

TRIED_ON = 24  # pictures of the category, and as many others
# Of the mean log-odds, and of its standard errors. Brightness moves a model that knows dark things
# from light ones by 0.9, where nothing is wrong; a border and a stamp move it by 1.5 to 5.
MOVED, MOVED_SURPRISE = 1.5, 3.0
MARK_MOVED, SURE_MARK_MOVED, SURE_MARK_SURPRISE = 1.0, 0.15, 2.0
SURE_AREA = 0.95  # of the curve
LEAST = 1e-4  # probability; below, odds mean nothing

# Says for pixels uint8 [m, size, size, 3] of rows [m] what the model thinks, float [m, k], having
# learned from none of these pictures, as far as that can be.
Answer = Callable[[Pixels, NDArray[np.integer]], NDArray[np.floating]]


@dataclass(frozen=True)
class Moved:
    """By how much an intervention moves the mean log-odds, and how sure that is.

    Probabilities near 1 hardly move, even where a model looks at little else.

    surprise: in standard errors. how: what was done, in words.
    """

    by: float
    surprise: float
    how: str

    def counts(self, candidate: Candidate) -> bool:
        """Tell whether it is more than chance, and matters.

        A frame or a stamp that tells a category nearly without a mistake is no part of any thing:
        less is enough.
        """
        least, surprise = MOVED, MOVED_SURPRISE
        if candidate.cue in MARKS:
            least = MARK_MOVED
            if candidate.area >= SURE_AREA:
                least, surprise = SURE_MARK_MOVED, SURE_MARK_SURPRISE
        return self.by >= least and self.surprise >= surprise


NOT_MOVED = Moved(0.0, 0.0, "")


class Trial:
    """One cue, tried on the model."""

    def __init__(
        self,
        judged: Judged,
        looks: Looks,
        rules: PixelRules,
        answer: Answer,
        candidate: Candidate,
    ) -> None:
        self.judged, self.looks, self.rules, self.answer = judged, looks, rules, answer
        self.candidate = candidate
        own = judged.labels == candidate.category
        strength = candidate.strength
        # Those that show the cue most, and others, spread over the categories, that show it least.
        self.own = self._some(np.flatnonzero(own), -strength)
        self.others = self._some(np.flatnonzero(~own), strength)
        self.images = {row: self._image(row) for row in (*self.own, *self.others)}
        self.own = [row for row in self.own if self.images[row] is not None]
        self.others = [row for row in self.others if self.images[row] is not None]

    def _some(self, rows: NDArray[np.integer], order: Values) -> list[int]:
        best = rows[np.argsort(order[rows], kind="stable")][: max(TRIED_ON, len(rows) // 2)]
        step = max(1, len(best) // TRIED_ON)
        return [int(row) for row in np.sort(best)[::step][:TRIED_ON]]

    def _image(self, row: int) -> Image.Image | None:
        try:
            return decode(read_bytes(self.judged.pictures[row].path), 2 * self.rules.size)
        except BadPicture:  # it has gone since
            return None

    def moved(self) -> Moved:
        """Return how much the cue moves the model, taken away or brought in."""
        if min(len(self.own), len(self.others)) < 2:
            return NOT_MOVED
        away, into, beside = self._changes()
        found = [NOT_MOVED]
        if away is not None:
            lost, beside_it = self._lost(self.own, away), self._lost(self.others, away)
            found.append(_difference(lost, beside_it, "taking it away"))
        if into is not None:
            won = self._won(into)
            other = self._won(beside) if beside else np.zeros(1)
            found.append(_difference(won, other, "bringing it into other pictures"))
        return max(found, key=lambda one: (one.counts(self.candidate), one.by))

    def _lost(self, rows: Sequence[int], change: Change) -> Values:
        """Return by how much the log-odds of their category sink once pictures are changed."""
        own = self.judged.labels[list(rows)]
        places = np.arange(len(rows))
        return np.asarray(
            self._said(rows, None)[places, own]
            - self._said(rows, [change] * len(rows))[places, own]
        )

    def _won(self, changes: Sequence[Change]) -> Values:
        """Return by how much the log-odds of the category rise once others are changed."""
        column = self.candidate.category
        after, before = self._said(self.others, changes), self._said(self.others, None)
        return np.asarray(after[:, column] - before[:, column])

    def _said(self, rows: Sequence[int], changes: Sequence[Change] | None) -> Values:
        pixels = []
        for place, row in enumerate(rows):
            image = self.images[row]
            assert image is not None
            pixels.append(fit_pixels(changes[place](image) if changes else image, self.rules))
        said = np.clip(self.answer(np.stack(pixels), np.array(rows)), LEAST, 1 - LEAST)
        return np.asarray(np.log(said / (1 - said)), np.float64)

    def _changes(
        self,
    ) -> tuple[Change | None, Sequence[Change] | None, Sequence[Change] | None]:
        """Return what takes the cue away, what brings it in, and what brings in as much else."""
        cue, looks = self.candidate.cue, self.looks
        if cue == "border":
            edges = looks.borders()[self.own]
            widths = np.where((edges > 0).mean(axis=0) >= 0.5, np.quantile(edges, 0.9, axis=0), 0.0)
            left, upper, right, lower = widths.tolist()
            rim = (left, upper, right, lower)
            return (
                interventions.cropped(rim),
                self._from(self.own, lambda donor: interventions.framed(donor, rim)),
                self._from(self.others, lambda donor: interventions.framed(donor, rim)),
            )
        if cue == "overlay":
            assert self.candidate.overlay is not None
            box = self.candidate.overlay.box
            return (
                interventions.painted_over(box),
                self._from(self.own, lambda d: interventions.patched(d, box)),
                self._from(self.others, lambda d: interventions.patched(d, box)),
            )
        return (*self._equalised(cue), None)

    def _from(
        self, donors: Sequence[int], make: Callable[[Image.Image], Change]
    ) -> Sequence[Change]:
        """Return a change for each of the others, of donors in turn, never of itself."""
        turned = [*donors[1:], *donors[:1]]
        images = [image for row in turned if (image := self.images[row]) is not None]
        return [make(images[i % len(images)]) for i in range(len(self.others))]

    def _equalised(self, cue: CueName) -> tuple[Change | None, Sequence[Change] | None]:
        """Return what makes the category like the others, and what makes others like it.

        Detail is only taken from others, to make them like a category of few pixels or little
        sharpness: a model that errs without the detail of its pictures took no shortcut.
        """
        looks = self.looks

        def middles(values: Values) -> tuple[float, float]:
            return float(np.median(values[self.own])), float(np.median(values[self.others]))

        if cue in ("brightness", "camera"):
            mean, spread = middles(looks.brightness()), middles(looks.contrast())
            return (
                interventions.lit(mean[1], spread[1]),
                [interventions.lit(mean[0], spread[0])] * len(self.others),
            )
        if cue == "aspect":
            own, other = middles(looks.aspect())
            return interventions.cut_to(other), [interventions.cut_to(own)] * len(self.others)
        if cue == "format":
            return interventions.compressed, [interventions.compressed] * len(self.others)
        values = looks.sharpness if cue == "sharpness" else looks.shorter_side()
        change = interventions.blurred_to if cue == "sharpness" else interventions.shrunk_to
        own, other = middles(values)
        return None, [change(own)] * len(self.others) if own < other else None


def _difference(found: Values, beside: Values, how: str) -> Moved:
    by = float(found.mean() - beside.mean())
    spread = found.var(ddof=1) / len(found)
    spread += beside.var(ddof=1) / len(beside) if len(beside) > 1 else 0.0
    return Moved(by, by / max(math.sqrt(float(spread)), 1e-3), how)
