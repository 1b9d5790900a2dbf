"""A contact sheet of the pictures that a model gets most wrong."""

from collections.abc import Sequence
from pathlib import Path

from retrain.data.images import PixelRules, read_bytes, read_pixels
from retrain.evaluate.verdicts import Verdict
from retrain.plots import draw_sheet, shortened
from retrain.workspace import atomic_writer

TOP_LOSSES = "top-losses.png"
_COLUMNS, _ROWS = 6, 4


def draw_top_losses(found: Sequence[Verdict], rules: PixelRules, path: Path) -> None:
    """Draw the first pictures as the network sees them, line by line, with what went wrong.

    Args:
        found: the greatest loss first.
        rules: size and fit.
        path: the PNG to write.
    """
    shown = found[: _COLUMNS * _ROWS]
    columns = [shown[i::_COLUMNS] for i in range(min(_COLUMNS, len(shown)))]
    pixels = [[read_pixels(read_bytes(v.path), rules) for v in column] for column in columns]
    titles = [[_title(v) for v in column] for column in columns]
    with atomic_writer(path) as part:
        draw_sheet(pixels, titles, part)


def _title(verdict: Verdict) -> str:
    guess = f"{shortened(verdict.guess)} {verdict.score:.2f}"
    if verdict.right:
        return f"{guess}\nright, loss {verdict.loss:.2f}"
    return f"{guess}\nis {shortened(verdict.category)}, loss {verdict.loss:.2f}"
