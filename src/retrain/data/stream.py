"""Reads many pictures in parallel and in order, with no more than a batch in memory."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TypeVar

import numpy as np

from retrain.data.images import BadPicture, PixelRules, Pixels, read_bytes, read_pixels
from retrain.errors import DataError

T = TypeVar("T")
R = TypeVar("R")


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def evenly(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many items, spread over all, so that every category has its share.

    >>> evenly("abcdefg", 3)
    ['a', 'd', 'g']
    """
    if len(items) <= most:
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, most)]


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of `size`; the last one may be shorter.

    `itertools.batched` does the same from Python 3.12 on.
    """
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def ordered(
    function: Callable[[T], R], items: Iterable[T], ahead: int, threads: int | None = None
) -> Iterator[R]:
    """Map `function` over `items` in threads; results in order, at most `ahead` in flight.

    Pillow decodes and resizes without Python's lock, so threads are enough.
    """
    with ThreadPoolExecutor(threads or cores()) as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def read_unchanged(path: Path, look: Callable[[bytes], R], sha256: bytes | None = None) -> R:
    """Return what `look` makes of a file's content.

    Args:
        path: the file.
        look: takes its content.
        sha256: of the content that is wanted; None for whatever is there.

    Raises:
        DataError: a picture that was readable before no longer is, or is another one.
    """
    try:
        content = read_bytes(path)
        if sha256 is not None and hashlib.sha256(content).digest() != sha256:
            raise BadPicture("it has another content")
        return look(content)
    except BadPicture as error:
        raise DataError(
            f"A picture changed while it was in use: {path}: {error}. Start again."
        ) from error


def pixel_batches(
    paths: Sequence[Path],
    rules: PixelRules,
    batch: int,
    sha256: Sequence[bytes] | None = None,
) -> Iterator[Pixels]:
    """Yield the pictures as uint8 [<= batch, size, size, 3], in order.

    Args:
        paths: pictures that were checked before.
        rules: size and fit.
        batch: pictures in a batch; the last one may be smaller.
        sha256: of their contents, where what is made of them is remembered by these.

    Raises:
        DataError: a picture that was readable before no longer is, or is another one.
    """

    def pixels(wanted: tuple[Path, bytes | None]) -> Pixels:
        path, digest = wanted
        return read_unchanged(path, lambda content: read_pixels(content, rules), digest)

    digests: Iterable[bytes | None] = repeat(None) if sha256 is None else sha256
    for some in batched(ordered(pixels, zip(paths, digests, strict=False), ahead=batch), batch):
        yield np.stack(some)
