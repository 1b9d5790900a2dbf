"""What a model says of a picture."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain.infer.stamp import Stamp

UNLIKE = "unlike anything it learned from"
Source = Path | str | bytes | Image.Image | NDArray[np.uint8]


class Score(NamedTuple):
    """A category and its calibrated probability, 0..1."""

    category: str
    probability: float


@dataclass(frozen=True, eq=False)
class Guess:
    """One picture's probabilities, or the reason why there are none.

    source: the picture, as it was given.
    categories: the names of the model's outputs, in their order.
    probabilities: float32 [k] in the same order; None where the picture could not be read.
    familiar: how usual the picture is for the model, 0..1: the share of pictures like those that it
        learned from which are at least as unusual. None where the model cannot tell.
    unlike: whether that is so little that the scores mean nothing.
    error: the reason; None where the picture could be read.
    extension: of the file's name, such as ".JPG", or its format's where the name has none.
    stamp: of the file before it was read; None if it is no file, or could not be found.
    """

    source: Source
    categories: tuple[str, ...] = ()
    probabilities: NDArray[np.float32] | None = None
    familiar: float | None = None
    unlike: bool = False
    error: str | None = None
    extension: str = ""
    stamp: Stamp | None = None

    @property
    def path(self) -> Path:
        """The file that was guessed; for guesses about files only."""
        assert isinstance(self.source, Path | str)
        return Path(self.source)

    @cached_property
    def scores(self) -> tuple[Score, ...]:
        """All categories with their probabilities, best first; none where there was an error."""
        if self.probabilities is None:
            return ()
        order = np.argsort(-self.probabilities, kind="stable")
        return tuple(Score(self.categories[i], float(self.probabilities[i])) for i in order)

    @property
    def best(self) -> Score:
        """The most probable category."""
        return self.scores[0]

    def __str__(self) -> str:
        """Write the scores as the command line does, a line each."""
        if self.error:
            return self.error
        lines = [score_line(*score) for score in self.scores]
        return "\n".join([*lines, UNLIKE] if self.unlike else lines)


def score_line(category: str, score: float) -> str:
    """Write a score the way this tool always did.

    >>> score_line("elsa", 0.996364)
    'elsa (score = 0.99636)'
    """
    return f"{category} (score = {score:.5f})"
