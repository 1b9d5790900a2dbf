"""Features of all pictures without a training: from the caches, else from whatever can tell them.

TensorFlow is needed only where there is neither a cache that has them nor a model whose features
are those of its backbone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain.data.feature_cache import SUFFIX, FeatureCache, Features, existing_cache
from retrain.data.images import PixelRules, Pixels
from retrain.data.records import Picture
from retrain.data.stream import evenly, pixel_batches
from retrain.files import machine_errors
from retrain.infer.answers import Answers
from retrain.progress import Reporter, counted
from retrain.run import Run
from retrain.workspace import Workspace

BATCH = 32  # pictures that are computed, and then kept
COMPARED = 4  # pictures by which a cache shows that it holds a model's features
ALIKE = 1e-3  # difference, as a share of the largest feature

Forward = Callable[[Pixels], Features]


@dataclass(frozen=True)
class Known:
    """Features, and who tells those of other pixels.

    values: float32 [n, d].
    rules: how pictures become pixels for `open_forward`.
    open_forward: returns what turns pixels uint8 [m, size, size, 3] into features [m, d] of the
        same kind; it may load TensorFlow. Of no use where the run is fine-tuned: then values may
        be of its backbone, and the model itself answers.
    """

    values: Features
    rules: PixelRules
    open_forward: Callable[[], Forward]


def known_features(
    pictures: Sequence[Picture], workspace: Workspace, run: Run | None, report: Reporter
) -> Known:
    """Return the features of pictures.

    Args:
        pictures: all that decode.
        workspace: whose caches are read and filled.
        run: the published one; None before the first.
        report: shows progress.

    Raises:
        DataError: a picture changed meanwhile. MachineError: a cache cannot be written.
        WeightsError: the default backbone is needed, and its weights are out of reach.
    """
    if run is not None and run.manifest.kept == "head":
        source = _HeadRun(run, workspace.bottlenecks)
        return Known(source.features(pictures, report), run.rules, lambda: source.forward)
    from retrain.jobs import computed_features

    rules = computed_features.default_rules()
    for cache in _caches(workspace.bottlenecks, run, rules):
        values, known = _looked_up(cache, pictures)
        if known.all():
            return Known(values, rules, partial(computed_features.open_default_forward, report))
    values, ready = computed_features.compute(pictures, workspace, report)
    return Known(values, rules, lambda: ready)


def _caches(folder: Path, run: Run | None, rules: PixelRules) -> Iterator[FeatureCache]:
    """Yield the caches of frozen backbones, those of the run's first."""
    names = [f"efficientnet_lite0-{rules}"]
    if run is not None:
        names.insert(0, f"{run.manifest.backbone}-{run.rules}")
    for name in names:
        for path in sorted(folder.glob(f"{name}-*{SUFFIX}")):
            if cache := existing_cache(path):
                yield cache


def _looked_up(
    cache: FeatureCache, pictures: Sequence[Picture]
) -> tuple[Features, NDArray[np.bool_]]:
    """Return features [n, d] and which of them the cache had, bool [n]."""
    values = np.zeros((len(pictures), cache.width), np.float32)
    known = np.zeros(len(pictures), bool)
    rows: dict[bytes, list[int]] = {}
    for row, picture in enumerate(pictures):
        rows.setdefault(bytes.fromhex(picture.sha256), []).append(row)
    for entry in cache.read()[0]:
        if own := rows.get(entry["sha256"].tobytes()):
            values[own], known[own] = entry["values"], True
    return values, known


class _HeadRun:
    """A run whose features are those of its frozen backbone, so that its caches hold them."""

    def __init__(self, run: Run, folder: Path) -> None:
        self._run, self._folder = run, folder

    @cached_property
    def _answers(self) -> Answers:
        return Answers(self._run)

    def forward(self, pixels: Pixels) -> Features:
        """Return features [m, d] of pixels."""
        return self._answers(pixels).features

    def features(self, pictures: Sequence[Picture], report: Reporter) -> Features:
        """Return features [n, d], computing those that no cache has."""
        blank = np.zeros((1, self._run.rules.size, self._run.rules.size, 3), np.uint8)
        width = self.forward(blank).shape[1]
        own = FeatureCache(self._folder / f"{self._run.name}{SUFFIX}", width)
        values, known = np.zeros((len(pictures), width), np.float32), np.zeros(len(pictures), bool)
        names = f"{self._run.manifest.backbone}-{self._run.rules}-*{SUFFIX}"
        for path in (own.path, *sorted(self._folder.glob(names))):
            cache = existing_cache(path)
            if cache is None or cache.width != width or known.all():
                continue
            some, has = _looked_up(cache, pictures)
            if path == own.path or self._agrees(pictures, some, has):
                values[has & ~known], known = some[has & ~known], known | has
        self._compute(pictures, values, known, own, report)
        return values

    def _agrees(
        self, pictures: Sequence[Picture], values: Features, known: NDArray[np.bool_]
    ) -> bool:
        """Tell whether a cache holds what this model says."""
        rows = evenly(np.flatnonzero(known).tolist(), COMPARED)
        if not rows:
            return False
        paths = [pictures[row].path for row in rows]
        said = self.forward(next(pixel_batches(paths, self._run.rules, COMPARED)))
        return bool(np.abs(said - values[rows]).max() <= ALIKE * np.abs(said).max())

    def _compute(
        self,
        pictures: Sequence[Picture],
        values: Features,
        known: NDArray[np.bool_],
        cache: FeatureCache,
        report: Reporter,
    ) -> None:
        rows: dict[str, list[int]] = {}
        for row in np.flatnonzero(~known).tolist():
            rows.setdefault(pictures[row].sha256, []).append(row)
        if not rows:
            return
        report.say(f"Features: computing those of {counted(len(rows), 'picture')}.")
        paths = [pictures[own[0]].path for own in rows.values()]
        digests = [bytes.fromhex(content) for content in rows]
        contents = iter(rows)
        with machine_errors(self._folder):
            self._folder.mkdir(exist_ok=True)
            entries, damaged = cache.read()
            if damaged:
                cache.rewrite(entries)
        with cache.appending() as append, report.bar("features", len(paths)) as advance:
            for pixels in pixel_batches(paths, self._run.rules, BATCH, digests):
                found = self.forward(pixels)
                some = [next(contents) for _ in found]
                for content, one in zip(some, found, strict=True):
                    values[rows[content]] = one
                append([(bytes.fromhex(c), one) for c, one in zip(some, found, strict=True)])
                advance(len(found))
