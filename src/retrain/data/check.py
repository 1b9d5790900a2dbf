"""Decodes every file once before training, so that no bad one is met later."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from retrain.data.images import BadPicture, PixelRules, read_bytes, read_pixels
from retrain.data.origins import Origin
from retrain.data.records import Dataset, Example, Picture, Skipped
from retrain.data.seen import SeenFiles
from retrain.data.split import split_key
from retrain.data.stream import ordered

_OWN = Origin("")  # of a picture that the user put there
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
        The pictures that decode, in the dataset's order, variations with the key, category and side
        of their originals; and all files left out, the source's included, by name.
    """
    pictures: list[Picture] = []
    skipped = list(dataset.skipped)
    with contextlib.closing(SeenFiles(memory)) as seen:
        for example, result in _checked(dataset, rules, seen):
            if isinstance(result, BadPicture):
                skipped.append(Skipped(example.name, str(result)))
            else:
                origin = dataset.origins.get(result, _OWN)
                pictures.append(_picture(example, result, group_by, origin))
            advance(1)
    pictures, orphans = _with_originals(pictures)
    skipped += orphans
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


def _with_originals(pictures: Sequence[Picture]) -> tuple[list[Picture], list[Skipped]]:
    """Let variations follow their originals, wherever these lie by now; without one they go."""
    originals = {picture.sha256: picture for picture in pictures if picture.varies is None}
    found: list[Picture] = []
    orphans = []
    for picture in pictures:
        if picture.varies is None:
            found.append(picture)
        elif original := originals.get(picture.varies):
            found.append(
                replace(picture, key=original.key, category=original.category, side=original.side)
            )
        else:
            orphans.append(Skipped(picture.name, "a variation of a picture that is gone"))
    return found, orphans


def _picture(example: Example, sha256: str, group_by: str | None, origin: Origin) -> Picture:
    return Picture(
        path=example.path,
        name=example.name,
        category=example.category,
        sha256=sha256,
        key=split_key(example.name, sha256, example.group, group_by, origin.group),
        side=example.side,
        varies=origin.varies or None,
    )
