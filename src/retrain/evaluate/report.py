"""A run as one HTML file that a person reads: no network, no scripts, pictures inside."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from retrain.data.images import BadPicture, PixelRules, Pixels, read_bytes, read_pixels
from retrain.evaluate.advice import advice
from retrain.evaluate.verdicts import Verdict, most_confused
from retrain.metrics import ReliabilityBin
from retrain.plots import draw_reliability, svg

TOP_LOSSES, CORRECT = 24, 12  # pictures shown
_THUMBNAIL, _QUALITY = 96, 75  # pixels; of JPEG
_BUDGET = 3_500_000  # bytes of data URIs that thumbnails may take together
_IN_A_CELL = 24  # pictures behind one cell of the confusion matrix
_LARGEST_MATRIX = 40  # categories; beyond, pairs are listed
_PAIRS, _SKIPPED = 50, 100  # lines shown
_CURVE_BINS = 10


@dataclass(frozen=True)
class Facts:
    """What a report tells, as a run's files have it.

    verdicts: of held-back pictures, the greatest loss first. metrics: by side, as the manifest has
    them. heat: pictures of the greatest losses as the network sees them, and with their heat map,
    by name. counts: pictures by category and side. skipped: name and reason. settings, environment:
    name and value. command: that made the run. history: an `<svg>` element, or "". missing: what
    could not be shown, a sentence each.
    """

    run: str
    labels: Sequence[str]
    rules: PixelRules
    verdicts: Sequence[Verdict]
    metrics: Mapping[str, Mapping[str, Any] | None]
    heat: Mapping[str, tuple[Pixels, Pixels]]
    counts: Mapping[str, Mapping[str, int]]
    skipped: Sequence[tuple[str, str]]
    settings: Sequence[tuple[str, str]]
    environment: Sequence[tuple[str, str]]
    command: str
    history: str
    missing: Sequence[str]


def render(facts: Facts) -> str:
    """Return the page, at most 5 MB."""
    environment = Environment(
        loader=PackageLoader("retrain", "evaluate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    found = facts.verdicts
    wrong = [verdict for verdict in found if not verdict.right]
    thumbnails = _Thumbnails(facts.rules)
    top = found[:TOP_LOSSES]
    right = sorted((v for v in found if v.right), key=lambda v: v.name)
    training = {label: facts.counts.get(label, {}).get("train", 0) for label in facts.labels}
    return environment.get_template("report.html.jinja").render(
        facts=facts,
        right=len(found) - len(wrong),
        pair=most_confused(found),
        advice=advice(found, training) if found else [],
        top=[(v, *(_jpeg(one) for one in facts.heat.get(v.name, ()))) for v in top],
        categories=list(_categories(facts.labels, found)),
        rows=list(_matrix(facts.labels, found, thumbnails)),
        pairs=list(_pairs(wrong, thumbnails)),
        correct=[(v, thumbnails.uri(v)) for v in right[:: max(1, len(right) // CORRECT)][:CORRECT]],
        reliability=svg(_reliability(found)) if found else "",
        matrix=len(facts.labels) <= _LARGEST_MATRIX,
        most_skipped=_SKIPPED,
    )


@dataclass(frozen=True)
class _Category:
    """A category's scores, 0..1; guessed: pictures taken for it."""

    name: str
    precision: float
    recall: float
    f1: float
    pictures: int
    guessed: int


def _categories(labels: Sequence[str], found: Sequence[Verdict]) -> Iterator[_Category]:
    for name in labels:
        hits = sum(v.category == v.guess == name for v in found)
        pictures = sum(v.category == name for v in found)
        guessed = sum(v.guess == name for v in found)
        yield _Category(
            name=name,
            precision=hits / guessed if guessed else 0.0,
            recall=hits / pictures if pictures else 0.0,
            f1=2 * hits / (pictures + guessed) if pictures + guessed else 0.0,
            pictures=pictures,
            guessed=guessed,
        )


@dataclass(frozen=True)
class _Cell:
    """Pictures of one category that were taken for one. share: of the category's pictures.

    shown: verdicts with their thumbnails; there may be more pictures than that.
    """

    category: str
    guess: str
    pictures: int
    share: float
    shown: Sequence[tuple[Verdict, str | None]]


def _matrix(
    labels: Sequence[str], found: Sequence[Verdict], thumbnails: "_Thumbnails"
) -> Iterator[tuple[str, list[_Cell]]]:
    """Yield each true category with its cells; mistakes get their thumbnails first."""
    if len(labels) > _LARGEST_MATRIX:
        return
    cells: dict[tuple[str, str], _Cell] = {}
    by_cell: dict[tuple[str, str], list[Verdict]] = {}
    totals = dict.fromkeys(labels, 0)
    for verdict in found:
        by_cell.setdefault((verdict.category, verdict.guess), []).append(verdict)
        totals[verdict.category] += 1
    places = [(category, guess) for category in labels for guess in labels]
    for place in sorted(places, key=lambda pair: pair[0] == pair[1]):
        inside = by_cell.get(place, [])
        shown = [(verdict, thumbnails.uri(verdict)) for verdict in inside[:_IN_A_CELL]]
        share = len(inside) / max(1, totals[place[0]])
        cells[place] = _Cell(*place, len(inside), share, shown)
    for category in labels:
        yield category, [cells[category, guess] for guess in labels]


def _pairs(wrong: Sequence[Verdict], thumbnails: "_Thumbnails") -> Iterator[_Cell]:
    """Yield who is taken for whom, the most frequent first."""
    by_pair: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in wrong:
        by_pair.setdefault((verdict.category, verdict.guess), []).append(verdict)
    for (category, guess), inside in sorted(by_pair.items(), key=lambda item: -len(item[1]))[
        :_PAIRS
    ]:
        shown = [(verdict, thumbnails.uri(verdict)) for verdict in inside[:_IN_A_CELL]]
        yield _Cell(category, guess, len(inside), 0.0, shown)


def _reliability(found: Sequence[Verdict]) -> Any:
    bins: dict[int, list[Verdict]] = {}
    for verdict in found:
        place = min(int(verdict.score * _CURVE_BINS), _CURVE_BINS - 1)
        bins.setdefault(place, []).append(verdict)
    points = [
        ReliabilityBin(
            sum(v.score for v in inside) / len(inside),
            sum(v.right for v in inside) / len(inside),
            len(inside),
        )
        for _, inside in sorted(bins.items())
    ]
    return draw_reliability(
        [point.score for point in points],
        [point.accuracy for point in points],
        [point.pictures for point in points],
    )


class _Thumbnails:
    """Small pictures as data URIs, as long as the budget lasts; each is made once."""

    def __init__(self, rules: PixelRules) -> None:
        self._rules = PixelRules(_THUMBNAIL, rules.fit)
        self._made: dict[Path, str | None] = {}
        self._left = _BUDGET

    def uri(self, verdict: Verdict) -> str | None:
        """Return a picture; None if it cannot be read, or if the page is full."""
        if verdict.path not in self._made:
            self._made[verdict.path] = self._make(verdict.path) if self._left > 0 else None
        uri = self._made[verdict.path]
        self._left -= len(uri or "")
        return uri if self._left > 0 else None

    def _make(self, path: Path) -> str | None:
        try:
            return _jpeg(read_pixels(read_bytes(path), self._rules))
        except BadPicture:
            return None


def _jpeg(pixels: Pixels) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
