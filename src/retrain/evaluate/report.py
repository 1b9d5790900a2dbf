"""A run as one HTML file that a person reads: no network, no scripts, pictures inside."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from retrain.data.images import BadPicture, PixelRules, Pixels, read_bytes, read_pixels
from retrain.evaluate.advice import advice, worth_correcting
from retrain.evaluate.findings import KIND_NAMES, Finding
from retrain.evaluate.related_pairs import Pair
from retrain.evaluate.verdicts import Verdict, most_confused, told_by
from retrain.metrics import category_scores, confusion_matrix, reliability
from retrain.plots import draw_reliability, svg
from retrain.progress import counted

TOP_LOSSES, CORRECT = 24, 12  # pictures shown
RELATED = 36  # pairs shown
FINDINGS, _OF_A_FINDING = 36, 3  # shown; pictures of one
_THUMBNAIL, _HEAT, _QUALITY = 96, 256, 75  # pixels, pixels at most; of JPEG
_BUDGET, _MARKUP = 4_300_000, 400  # bytes that pictures may take together; around each
_IN_A_CELL = 24  # pictures behind one cell of the confusion matrix
_LARGEST_MATRIX = 40  # categories; beyond, pairs are listed
_PAIRS, _SKIPPED = 50, 100  # lines shown


@dataclass(frozen=True)
class Facts:
    """What a report tells, as a run's files have it.

    verdicts: of held-back pictures, the greatest loss first.
    metrics: by side, as the manifest has them.
    heat: pictures of the greatest losses as the network sees them, and with their heat map, by
        name.
    learning: the learning curve as an `<svg>` element, and in words; both "" without one.
    related: pairs of pictures, those that are shown first.
    counts: pictures by category and side.
    skipped: name and reason.
    settings, environment: name and value.
    command: that made the run.
    history: an `<svg>` element, or "".
    missing: what could not be shown, a sentence each.
    findings: what may be wrong with the pictures, the worst first, and where their files lie.
    """

    run: str
    labels: Sequence[str]
    rules: PixelRules
    verdicts: Sequence[Verdict]
    metrics: Mapping[str, Any]
    heat: Mapping[str, tuple[Pixels, Pixels]]
    learning: tuple[str, str]
    related: Sequence[Pair]
    counts: Mapping[str, Mapping[str, int]]
    skipped: Sequence[tuple[str, str]]
    settings: Sequence[tuple[str, str]]
    environment: Sequence[tuple[str, str]]
    command: str
    history: str
    missing: Sequence[str]
    findings: Sequence[tuple[Finding, Sequence[Path]]] = ()


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
    matrix = len(facts.labels) <= _LARGEST_MATRIX
    top = found[:TOP_LOSSES]
    heat = {v.name: [_jpeg(one, _HEAT) for one in facts.heat.get(v.name, ())] for v in top}
    taken = sum(len(uri) for uris in heat.values() for uri in uris)
    thumbnails = _Thumbnails(facts.rules, _BUDGET - taken)
    right = sorted((v for v in found if v.right), key=lambda v: v.name)
    some = right[:: max(1, len(right) // CORRECT)][:CORRECT]
    correct = [(v, thumbnails.uri(v.path)) for v in some]
    related = [
        (pair, [(sight, thumbnails.uri(sight.path)) for sight in pair.both])
        for pair in facts.related[:RELATED]
    ]
    doubtful = [
        (one, [(path, thumbnails.uri(path)) for path in paths[:_OF_A_FINDING]])
        for one, paths in facts.findings[:FINDINGS]
    ]
    judged_by = facts.metrics.get("judged_by")
    lead = facts.metrics.get(judged_by or "")
    interval = tuple(lead["interval_95"]) if lead else None
    leading = told_by(found, judged_by)
    to_correct = worth_correcting([one for one, _ in facts.findings])
    training = {label: facts.counts.get(label, {}).get("train", 0) for label in facts.labels}
    return environment.get_template("report.html.jinja").render(
        facts=facts,
        right=len(found) - len(wrong),
        leading=leading,
        pair=most_confused(leading),
        advice=to_correct + (advice(found, training, judged_by, interval) if found else []),
        doubtful=doubtful,
        kinds=KIND_NAMES,
        names=_names(facts.metrics),
        top=[(v, *heat[v.name]) for v in top],
        categories=category_scores(_confusion(facts.labels, found), facts.labels),
        rows=list(_matrix(facts.labels, found, thumbnails)) if matrix else [],
        pairs=[] if matrix else list(_pairs(wrong, thumbnails)),
        correct=correct,
        related=related,
        reliability=_reliability(found) if found else ("", ""),
        matrix=matrix,
        most_skipped=_SKIPPED,
    )


def _names(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a model was judged by, by name and in words, as far as there are figures."""
    words = (
        ("cross_fitted", "Cross-validated head"),
        ("fine_tuned", "Fine-tuned models, on pictures they had not learned from"),
        ("one_fold", "Fine-tuned model, on the fold that judged it"),
        ("test", "Test"),
        ("validation", "Validation"),
    )
    return [(name, text) for name, text in words if metrics.get(name)]


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
    cells: dict[tuple[str, str], _Cell] = {}
    by_cell: dict[tuple[str, str], list[Verdict]] = {}
    totals = dict.fromkeys(labels, 0)
    for verdict in found:
        by_cell.setdefault((verdict.category, verdict.guess), []).append(verdict)
        totals[verdict.category] += 1
    places = [(category, guess) for category in labels for guess in labels]
    for place in sorted(places, key=lambda pair: pair[0] == pair[1]):
        inside = by_cell.get(place, [])
        shown = thumbnails.some(inside)
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
        shown = thumbnails.some(inside)
        yield _Cell(category, guess, len(inside), 0.0, shown)


def _reliability(found: Sequence[Verdict]) -> tuple[str, str]:
    """Return the figure of how far scores can be trusted, and what it shows in words."""
    points = reliability(np.array([v.score for v in found]), np.array([v.right for v in found]))
    figure = draw_reliability(
        [point.score for point in points],
        [point.accuracy for point in points],
        [point.pictures for point in points],
    )
    parts = (
        f"score {one.score:.2f}, {one.accuracy:.2f} of {counted(one.pictures, 'picture')}"
        for one in points
    )
    return svg(figure, "reliability"), f"Share of guesses that is right: {'; '.join(parts)}."


class _Thumbnails:
    """Small pictures as data URIs, as long as the budget lasts; each is made once."""

    def __init__(self, rules: PixelRules, budget: int) -> None:
        self._rules = PixelRules(_THUMBNAIL, rules.fit)
        self._made: dict[Path, str | None] = {}
        self._left = budget

    def some(self, found: Sequence[Verdict]) -> list[tuple[Verdict, str | None]]:
        """Return the first verdicts with their pictures, fewer once the page is full."""
        return [(one, self.uri(one.path)) for one in found[:_IN_A_CELL] if self._left > 0]

    def uri(self, path: Path) -> str | None:
        """Return a picture; None if it cannot be read."""
        if path not in self._made:
            self._made[path] = self._make(path)
        uri = self._made[path]
        self._left -= len(uri or "") + _MARKUP
        return uri

    def _make(self, path: Path) -> str | None:
        try:
            return _jpeg(read_pixels(read_bytes(path), self._rules), _THUMBNAIL)
        except BadPicture:
            return None


def _confusion(labels: Sequence[str], found: Sequence[Verdict]) -> NDArray[np.int64]:
    index = {label: i for i, label in enumerate(labels)}
    truth = np.array([index[verdict.category] for verdict in found], np.int64)
    guesses = np.array([index[verdict.guess] for verdict in found], np.int64)
    return confusion_matrix(truth, guesses, len(labels))


def _jpeg(pixels: Pixels, size: int) -> str:
    file = io.BytesIO()
    picture = Image.fromarray(pixels)
    picture.thumbnail((size, size))
    picture.save(file, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
