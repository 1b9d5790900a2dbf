"""Decodes every file once before training, so that no bad one is met later."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from retrain.data.images import BadPicture, PixelRules, read_bytes, read_pixels
from retrain.data.records import Dataset, Example, Picture, Skipped
from retrain.data.seen import SeenFiles
from retrain.data.split import split_key
from retrain.data.stream import ordered

AHEAD = 64  # files in flight: enough for every core, little in memory


def check(
    dataset: Dataset,
    rules: PixelRules,
    group_by: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
    memory: Path | None = None,
) -> tuple[list[Picture], list[Skipped]]:
    """Decode all examples in parallel.

    Args:
        dataset: what a source found.
        rules: pictures are decoded as the network will want them.
        group_by: regular expression for `split_key`.
        advance: called with 1 after each file.
        memory: file that remembers what decoded; always safe to delete.

    Returns:
        The pictures that decode, in the dataset's order, and all files left out, the source's
        included, by name.
    """
    pictures: list[Picture] = []
    skipped = list(dataset.skipped)
    with contextlib.closing(SeenFiles(memory)) as seen:
        for example, result in _checked(dataset, rules, seen):
            if isinstance(result, BadPicture):
                skipped.append(Skipped(example.name, str(result)))
            else:
                pictures.append(_picture(example, result, group_by))
            advance(1)
    return pictures, sorted(skipped, key=lambda bad: bad.name)


_Asked = tuple[Example, str | None, str | None]  # with its stamp, and its sha256 if known


def _checked(
    dataset: Dataset, rules: PixelRules, seen: SeenFiles
) -> Iterator[tuple[Example, str | BadPicture]]:
    """Yield each example with its sha256, or with what is wrong with it."""

    def look(asked: _Asked) -> tuple[_Asked, str | BadPicture]:
        example, _, known = asked
        return asked, known or _digest(example.path, rules)

    asked = ((e, *seen.look_up(e.name, e.path)) for e in dataset.examples)
    for (example, stamp, known), result in ordered(look, asked, ahead=AHEAD):
        if stamp and not known and isinstance(result, str):
            seen.put(example.name, stamp, result)
        yield example, result


def _digest(path: Path, rules: PixelRules) -> str | BadPicture:
    try:
        content = read_bytes(path)
        read_pixels(content, rules)
    except BadPicture as error:
        return BadPicture(str(error))  # without the traceback, which would keep the content
    return hashlib.sha256(content).hexdigest()


def _picture(example: Example, sha256: str, group_by: str | None) -> Picture:
    return Picture(
        path=example.path,
        name=example.name,
        category=example.category,
        sha256=sha256,
        key=split_key(example.name, sha256, example.group, group_by),
        side=example.side,
    )
