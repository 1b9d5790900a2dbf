"""A contact sheet of the pictures that a model gets most wrong."""

import contextlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from retrain.data.images import BadPicture, PixelRules, Pixels, read_bytes, read_pixels
from retrain.evaluate.verdicts import Verdict
from retrain.files import atomic_writer
from retrain.plots import draw_sheet, shortened

_COLUMNS, _ROWS = 6, 4


def draw_top_losses(found: Sequence[Verdict], rules: PixelRules, path: Path) -> None:
    """Draw the first pictures as the network sees them, line by line, with what went wrong.

    Pictures that can no longer be read are left out; without any, nothing is drawn.

    Args:
        found: the greatest loss first.
        rules: size and fit.
        path: the PNG to write.
    """
    shown = list(islice(_readable(found, rules), _COLUMNS * _ROWS))
    if not shown:
        return
    columns = [shown[i::_COLUMNS] for i in range(min(_COLUMNS, len(shown)))]
    pixels = [[one for _, one in column] for column in columns]
    titles = [[_title(verdict) for verdict, _ in column] for column in columns]
    with atomic_writer(path) as part:
        draw_sheet(pixels, titles, part)


def _readable(found: Sequence[Verdict], rules: PixelRules) -> Iterator[tuple[Verdict, Pixels]]:
    for verdict in found:
        with contextlib.suppress(BadPicture):  # it may have gone since
            yield verdict, read_pixels(read_bytes(verdict.path), rules)


def _title(verdict: Verdict) -> str:
    guess = f"{shortened(verdict.guess)} {verdict.score:.2f}"
    if verdict.right:
        return f"{guess}\nright, loss {verdict.loss:.2f}"
    return f"{guess}\nis {shortened(verdict.category)}, loss {verdict.loss:.2f}"
