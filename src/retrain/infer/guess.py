"""Guesses what pictures show."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain.config import GuessConfig
from retrain.data.images import BadPicture, PixelRules, Pixels, extension, read_bytes, read_pixels
from retrain.data.stream import ordered
from retrain.infer.engine import Engine

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
    engine: Engine,
    labels: Sequence[str],
    rules: PixelRules,
    paths: Iterable[Path],
    config: GuessConfig,
) -> Iterator[Guess]:
    """Yield a guess for each path, in order, unreadable ones included.

    Pictures are decoded in threads while the network works on the batch before; two batches are
    in memory at most.
    """
    batch: list[Path] = []
    opened: list[_Opened] = []

    def flush() -> Iterator[Guess]:
        yield from _guess_batch(engine, labels, batch, opened)
        batch.clear()
        opened.clear()

    def load(path: Path) -> tuple[Path, _Opened]:
        return path, _open(path, rules)

    for path, one in ordered(load, paths, 2 * config.batch, config.threads):
        batch.append(path)
        opened.append(one)
        if len(batch) == config.batch:
            yield from flush()
    yield from flush()


_Opened = tuple[Pixels, str] | BadPicture


def _open(path: Path, rules: PixelRules) -> _Opened:
    try:
        content = read_bytes(path)
        own = _SUFFIX.fullmatch(path.suffix)
        return read_pixels(content, rules), own[0] if own else extension(content)
    except BadPicture as error:
        return error


def _guess_batch(
    engine: Engine, labels: Sequence[str], paths: Sequence[Path], opened: Sequence[_Opened]
) -> Iterator[Guess]:
    readable = [one[0] for one in opened if not isinstance(one, BadPicture)]
    answers = iter(list(engine.run(np.stack(readable)).probabilities) if readable else [])
    for path, one in zip(paths, opened, strict=True):
        if isinstance(one, BadPicture):
            yield Guess(path, error=str(one))
        else:
            yield Guess(path, _best_first(labels, next(answers)), extension=one[1])


def _best_first(labels: Sequence[str], probabilities: NDArray[np.float32]) -> tuple[Score, ...]:
    order = np.argsort(-probabilities, kind="stable")
    return tuple((labels[i], float(probabilities[i])) for i in order)
