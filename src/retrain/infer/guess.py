"""Guesses what pictures show."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import BadPicture, PixelRules, Pixels, extension, read_bytes, read_pixels
from retrain.data.stream import ordered
from retrain.infer.engine import Engine, Lanes

T = TypeVar("T")
Score = tuple[str, float]
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}")


@dataclass(frozen=True)
class Guess:
    """One picture's categories with their probabilities, best first; or why there are none.

    extension: the file's own, such as ".JPG", or its format's where it has none.
    """

    path: Path
    scores: tuple[Score, ...] = ()
    error: str | None = None
    extension: str = ""


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
    paths: Iterable[Path],
    threads: int,
) -> Iterator[Guess]:
    """Yield a guess for each path, in order, unreadable ones included.

    Pictures are decoded in threads of their own, ahead of the network; all queues are short.

    Args:
        engine: the model.
        labels: categories in the order of its outputs.
        rules: how pictures become its pixels.
        paths: picture files.
        threads: that decode.
    """

    def load(path: Path) -> _Loaded:
        return path, _open(path, rules)

    def answer(batch: Sequence[_Loaded]) -> list[Guess]:
        return list(_guess_batch(engine, labels, batch))

    loaded = ordered(load, paths, 2 * threads + 2 * engine.batch, threads)
    for guesses in ordered(answer, _batches(loaded, engine.batch), 2 * engine.lanes, engine.lanes):
        yield from guesses


_Opened = tuple[Pixels, str] | BadPicture
_Loaded = tuple[Path, _Opened]


def _open(path: Path, rules: PixelRules) -> _Opened:
    try:
        content = read_bytes(path)
        own = _SUFFIX.fullmatch(path.suffix)
        return read_pixels(content, rules), own[0] if own else extension(content)
    except BadPicture as error:
        return BadPicture(str(error))  # without the traceback, which would keep the content


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _guess_batch(
    engine: Engine, labels: Sequence[str], loaded: Sequence[_Loaded]
) -> Iterator[Guess]:
    readable = [one[0] for _, one in loaded if not isinstance(one, BadPicture)]
    answers = iter(engine.run(np.stack(readable)).probabilities if readable else ())
    for path, one in loaded:
        if isinstance(one, BadPicture):
            yield Guess(path, error=str(one))
        else:
            yield Guess(path, _best_first(labels, next(answers)), extension=one[1])


def _best_first(labels: Sequence[str], probabilities: NDArray[np.float32]) -> tuple[Score, ...]:
    order = np.argsort(-probabilities, kind="stable")
    return tuple((labels[i], float(probabilities[i])) for i in order)
