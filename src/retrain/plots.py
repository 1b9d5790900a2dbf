"""Pictures about trainings; matplotlib draws here alone."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK, LEARNED, HELD_OUT, RATE = "#222222", "#3b6fb6", "#c8553d", "#8a8a8a"
DOTS_PER_INCH = 120
CELLS_WITH_NUMBERS = 12  # categories up to which a confusion matrix shows its counts
LONGEST_NAME = 18  # characters
MADE_BY = {"Software": "retrain"}  # the texts of a PNG, by which we know our own
HEAT, HEAT_SHARE = "turbo", 0.6  # colours of heat maps, and how far they cover the picture

_STYLE: Any = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.edgecolor": RATE,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.0,
    "legend.frameon": False,
}


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, Any]:
    """Return a figure in inches with its axes; no display and no global state is needed."""
    with mpl.rc_context(_STYLE):
        figure = Figure((width, height), dpi=DOTS_PER_INCH, layout="constrained")
        FigureCanvasAgg(figure)
        return figure, figure.subplots(1, columns)


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    figure.savefig(path, format="png")


def svg(figure: Figure, name: str) -> str:
    """Return a figure as an `<svg>` element: text stays text, ink takes the page's colour.

    Args:
        figure: whose labels are ours, not the user's.
        name: begins all ids inside, since ids of two figures on one page must differ.
    """
    file = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.fonttype": "none", "svg.hashsalt": "retrain"}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = re.sub(r'\b(id="|href="#|url\(#)', rf"\g<1>{name}-", text[text.index("<svg") :])
    return text.replace(INK, "currentColor").replace("#000000", "currentColor")


def draw_history(
    penalties: Sequence[float],
    head: Mapping[str, Sequence[float]],
    steps: Sequence[int],
    rounds: Mapping[str, Sequence[float]],
    rates: Sequence[float],
) -> Figure:
    """Return a figure of how the loss fell, and where the learning rate stood.

    Args:
        penalties: of the heads that were tried.
        head: losses of these heads, by the name of the line.
        steps: how many steps of fine-tuning were taken by the end of each of its rounds.
        rounds: losses after each round, by the name of the line; may be empty.
        rates: the learning rate of each step.
    """
    with mpl.rc_context(_STYLE):
        figure, both = _figure(8.0, 3.2, 2 if rounds else 1)
        axes = both[0] if rounds else both
        order = sorted(range(len(penalties)), key=lambda place: penalties[place])
        tried = [penalties[place] for place in order]
        for (name, losses), colour in zip(head.items(), (LEARNED, HELD_OUT), strict=False):
            axes.plot(
                tried,
                [losses[place] for place in order],
                "o-",
                color=colour,
                label=name,
                markersize=3,
            )
        axes.set(xscale="log", yscale="log", xlabel="penalty", ylabel="loss", title="Head")
        axes.invert_xaxis()
        axes.legend()
        if rounds:
            axes = both[1]
            for (name, values), colour in zip(rounds.items(), (LEARNED, HELD_OUT), strict=False):
                axes.plot(steps, values, "o-", color=colour, label=name, markersize=3)
            axes.set(xlabel="step", ylabel="loss", title="Fine-tuning")
            highest = max(value for values in rounds.values() for value in values)
            axes.set_ylim(0, 1.5 * highest)  # room for the legend, above all lines
            second = axes.twinx()
            taken = range(1, len(rates) + 1)
            second.plot(taken, rates, color=RATE, linewidth=1, label="learning rate")
            second.set_ylabel("learning rate")
            second.set_ylim(0, 1.5 * max(rates))
            lines = axes.get_lines() + second.get_lines()
            axes.legend(lines, [line.get_label() for line in lines], loc="upper right")
    return figure


def draw_sweep(
    rates: Sequence[float],
    losses: Sequence[float],
    suggestions: Mapping[str, float],
    path: Path,
) -> None:
    """Draw the loss over the learning rate of a sweep, with its suggestions."""
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(6.0, 3.6)
        axes.plot(rates, losses, color=LEARNED)
        axes.set(xscale="log", xlabel="learning rate", ylabel="smoothed loss")
        for (name, rate), mark in zip(suggestions.items(), "osD", strict=False):
            loss = min(zip(rates, losses, strict=True), key=lambda pair: abs(pair[0] - rate))[1]
            axes.plot([rate], [loss], mark, color=HELD_OUT, label=f"{name}: {rate:.1e}")
        if suggestions:
            axes.legend()
        figure.savefig(path, format="png", metadata=MADE_BY)


def draw_learning(
    pictures: Sequence[float],
    accuracy: Sequence[float],
    doubled: float,
    interval: tuple[float, float],
) -> Figure:
    """Draw accuracy over the number of pictures learned from, and what twice as many may bring.

    Args:
        pictures: learned from, rising.
        accuracy: at each, 0..1.
        doubled: expected with twice the last number of pictures.
        interval: 95 % of that.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(5, 3)
        axes.plot(pictures, accuracy, "o-", color=LEARNED)
        ahead = [pictures[-1], 2 * pictures[-1]]
        axes.plot(ahead, [accuracy[-1], doubled], ":", color=LEARNED)
        axes.plot(2 * ahead[1:], interval, color=LEARNED, linewidth=1)
        axes.plot(ahead[1:], [doubled], "o", color=LEARNED, markerfacecolor="none")
        axes.set_xscale("log")
        axes.set_xlabel("pictures learned from")
        axes.set_ylabel("accuracy")
        axes.set_xticks([*pictures, ahead[1]], [f"{count:.0f}" for count in (*pictures, ahead[1])])
        axes.minorticks_off()
    return figure


def draw_reliability(
    scores: Sequence[float], accuracies: Sequence[float], counts: Sequence[int]
) -> Figure:
    """Return a figure of how often guesses are right, over their score; larger dots, more pictures.

    Args:
        scores: mean score of each bin, 0..1.
        accuracies: share of right guesses in it.
        counts: pictures in it.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(3.6, 3.2)
        axes.plot([0, 1], [0, 1], ":", color=RATE)
        axes.plot(scores, accuracies, color=LEARNED, linewidth=1)
        sizes = [20 + 180 * count / max(counts, default=1) for count in counts]
        axes.scatter(scores, accuracies, sizes, color=LEARNED)
        axes.set(xlabel="score", ylabel="share that is right", xlim=(0, 1.05), ylim=(0, 1.05))
    return figure


def draw_confusion(
    confusion: Sequence[Sequence[int]] | NDArray[Any], categories: Sequence[str]
) -> Figure:
    """Return a figure of a confusion matrix: a row for each true category."""
    count = len(categories)
    side = min(12.0, 2.5 + 0.45 * count)
    with mpl.rc_context(_STYLE):
        figure, axes = _figure(side, side)
        axes.imshow(confusion, cmap="Blues", vmin=0)
        ticks, names = range(count), [shortened(name) for name in categories]
        axes.set_xticks(ticks, names, rotation=90, parse_math=False)
        axes.set_yticks(ticks, names, parse_math=False)
        axes.set(xlabel="guessed", ylabel="true")
        most = max(max(row) for row in confusion)
        if count <= CELLS_WITH_NUMBERS:
            for i, row in enumerate(confusion):
                for j, cell in enumerate(row):
                    colour = "white" if 2 * cell > most else INK
                    axes.text(j, i, str(cell), ha="center", va="center", color=colour)
    return figure


def shortened(name: str) -> str:
    """Return a name that fits above or beside a picture.

    >>> shortened("a very long name of a category")
    'a very long name …'
    """
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def overlay(pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return uint8 [size, size, 3] pixels that glow where heat [size, size], 0..1, is high."""
    glow = 255 * mpl.colormaps[HEAT](heat)[..., :3]
    share = HEAT_SHARE * heat[..., np.newaxis]
    return np.asarray((1 - share) * pixels + share * glow, np.uint8)


def ember(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return heat [size, size], 0..1, as a picture of its own, black where there is none."""
    return np.asarray(255 * mpl.colormaps["inferno"](heat)[..., :3], np.uint8)


def relief(gradients: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return signed gradients [size, size, 3] as a picture, grey where there are none."""
    most = max(float(np.percentile(np.abs(gradients), 99.5)), 1e-12)
    return np.asarray(np.clip(127.5 * (1 + gradients / most), 0, 255), np.uint8)


def draw_sheet(
    columns: Sequence[Sequence[NDArray[Any]]],
    titles: Sequence[Sequence[str]],
    file: Path | IO[bytes],
    source: str | None = None,
) -> None:
    """Draw a contact sheet.

    Args:
        columns: pictures, uint8 [size, size, 3]; the last ones may be shorter.
        titles: a title above each.
        file: the PNG to write, or an open one.
        source: kept in the PNG, as its text "Source".
    """
    count = len(columns[0])
    with mpl.rc_context(_STYLE):
        figure = Figure((1.7 * len(columns), 1.9 * count), dpi=DOTS_PER_INCH, layout="constrained")
        grid = figure.subplots(count, len(columns), squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for pictures, names, line in zip(columns, titles, grid.T, strict=True):
            for pixels, name, axes in zip(pictures, names, line, strict=False):
                axes.imshow(pixels)
                axes.set_title(name, parse_math=False)
        metadata = {**MADE_BY, **({"Source": source} if source else {})}
        figure.savefig(file, format="png", metadata=metadata)
