"""Guesses what pictures show."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import BadPicture, PixelRules, Pixels, extension, read_bytes, read_pixels
from retrain.data.stream import batched, ordered
from retrain.infer.engine import Engine, Lanes
from retrain.infer.names import own_suffix
from retrain.infer.stamp import Stamp, stamp_of

Score = tuple[str, float]


@dataclass(frozen=True)
class Guess:
    """One picture's categories with their probabilities, best first; or why there are none.

    extension: the file's own, such as ".JPG", or its format's where it has none. stamp: the file's
    before it was read; None if it could not be.
    """

    path: Path
    scores: tuple[Score, ...] = ()
    error: str | None = None
    extension: str = ""
    stamp: Stamp | None = None


def score_line(category: str, score: float) -> str:
    """Write a score the way this tool always did.

    >>> score_line("elsa", 0.996364)
    'elsa (score = 0.99636)'
    """
    return f"{category} (score = {score:.5f})"


def guess(
    engine: Lanes,
    labels: Sequence[str],
    rules: PixelRules,
    paths: Iterable[Path | Guess],
    threads: int,
) -> Iterator[Guess]:
    """Yield a guess for each path, in order, unreadable ones included; known guesses pass through.

    Pictures are decoded in threads of their own, ahead of the network; all queues are short.

    Args:
        engine: the model.
        labels: categories in the order of its outputs.
        rules: how pictures become its pixels.
        paths: picture files, and guesses that were made before.
        threads: that decode.
    """

    def load(path: Path | Guess) -> _Loaded:
        return path if isinstance(path, Guess) else _open(path, rules)

    def answer(batch: Sequence[_Loaded]) -> list[Guess]:
        return list(_guess_batch(engine, labels, batch))

    loaded = ordered(load, paths, 2 * threads + 2 * engine.batch, threads)
    for guesses in ordered(answer, batched(loaded, engine.batch), 2 * engine.lanes, engine.lanes):
        yield from guesses


_Loaded = tuple[Guess, Pixels] | Guess  # the first lacks its scores


def _open(path: Path, rules: PixelRules) -> _Loaded:
    stamp = stamp_of(path)
    try:
        content = read_bytes(path)
        pixels = read_pixels(content, rules)
    except BadPicture as error:
        return Guess(path, error=str(error), stamp=stamp)
    return Guess(path, extension=own_suffix(path.name) or extension(content), stamp=stamp), pixels


def _guess_batch(
    engine: Engine, labels: Sequence[str], loaded: Sequence[_Loaded]
) -> Iterator[Guess]:
    readable = [one[1] for one in loaded if not isinstance(one, Guess)]
    answers = iter(engine.run(np.stack(readable)).probabilities if readable else ())
    for one in loaded:
        if isinstance(one, Guess):
            yield one
        else:
            yield replace(one[0], scores=_best_first(labels, next(answers)))


def _best_first(labels: Sequence[str], probabilities: NDArray[np.float32]) -> tuple[Score, ...]:
    order = np.argsort(-probabilities, kind="stable")
    return tuple((labels[i], float(probabilities[i])) for i in order)
