"""Decodes every file once before training, so that no bad one is met later."""

import hashlib
from collections.abc import Callable, Iterator

from retrain.data.images import BadPicture, PixelRules, read_bytes, read_pixels
from retrain.data.records import Dataset, Example, Picture, Skipped
from retrain.data.split import split_key
from retrain.data.stream import ordered

AHEAD = 64  # files in flight: enough for every core, little in memory


def check(
    dataset: Dataset,
    rules: PixelRules,
    group_by: str | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[list[Picture], list[Skipped]]:
    """Decode all examples in parallel.

    Args:
        dataset: what a source found.
        rules: pictures are decoded as the network will want them.
        group_by: regular expression for `split_key`.
        advance: called with 1 after each file.

    Returns:
        The pictures that decode, in the dataset's order, and all files left out, the source's
        included, by name.
    """
    pictures: list[Picture] = []
    skipped = list(dataset.skipped)
    for example, result in zip(dataset.examples, _digests(dataset, rules), strict=True):
        if isinstance(result, BadPicture):
            skipped.append(Skipped(example.name, str(result)))
        else:
            pictures.append(_picture(example, result, group_by))
        advance(1)
    return pictures, sorted(skipped, key=lambda bad: bad.name)


def _digests(dataset: Dataset, rules: PixelRules) -> Iterator[str | BadPicture]:
    def digest(example: Example) -> str | BadPicture:
        try:
            content = read_bytes(example.path)
            read_pixels(content, rules)
        except BadPicture as error:
            return error
        return hashlib.sha256(content).hexdigest()

    return ordered(digest, dataset.examples, ahead=AHEAD)


def _picture(example: Example, sha256: str, group_by: str | None) -> Picture:
    return Picture(
        path=example.path,
        name=example.name,
        category=example.category,
        sha256=sha256,
        key=split_key(example.name, sha256, example.group, group_by),
        side=example.side,
    )
