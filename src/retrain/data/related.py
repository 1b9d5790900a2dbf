"""Finds related pictures: the same pixels, copies that were changed a little, series.

Short vectors of pixels and features find candidates, thumbnails laid over one another confirm
them. Needs no file: fingerprints are made when pictures are checked, features come from the cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.data.alignment import UNKNOWN, Array, Likeness, Rows, likeness
from retrain.data.candidates import Candidates, Standard, by_features, by_pixels, merged, plain
from retrain.data.fingerprints import Fingerprints
from retrain.data.records import Picture
from retrain.data.relations import Kind, Relation
from retrain.data.sequences import Neighbours, neighbours
from retrain.progress import Reporter, Silent

_SILENT = Silent()
# A copy: of the whole, of its detail, as far as both pictures have pixels for.
COPY_WHOLE = 0.95
COPY_DETAIL = 0.75
COPY_OVERLAP = 0.6
RECOLOURED = 14.0  # of 255, root mean square
# Mirrored or recoloured, or in two categories: more, as two signs of one shape are that alike.
CHANGED_DETAIL = 0.9
MIRRORED_MORE = 0.1  # detail than if neither is turned round
# A series: of neighbours; of pictures whose names and times say nothing.
NEAR_WHOLE, NEAR_FEATURES = 0.85, 0.6
FRAME_WHOLE, FRAME_DETAIL = 0.9, 0.7
SERIES_FEATURES = 0.7


@dataclass(frozen=True)
class Measured:
    """Candidates and all that is known of them; m rows each.

    alike: of their pixels. unturned: likeness in detail of those that look like mirrored copies, if
    neither is turned round; UNKNOWN for others.
    features: cosine of their standardised features, 0 without features.
    close: among one another's nearest by features. same: of one category.
    """

    pairs: Candidates
    alike: Likeness
    unturned: Array
    features: Array
    close: NDArray[np.bool]
    near: NDArray[np.bool]
    same: NDArray[np.bool]


def find(
    pictures: Sequence[Picture],
    records: Fingerprints,
    features: Array | None = None,
    report: Reporter = _SILENT,
) -> list[Relation]:
    """Find the relations of pictures with different contents.

    Args:
        pictures: all that decode.
        records: their fingerprints, in the same order; may be mapped from a file.
        features: float32 [n, d] of some backbone, in the same order. Without them only copies and
            series of frames that lie over one another are found.
        report: shows the progress.

    Returns:
        Relations in the order of their pairs, the same for the same pictures in any order.
    """
    rows = _contents(pictures)
    found, rows = _identical(pictures, records, rows)
    beside = neighbours([pictures[row].name for row in rows], records["taken"][rows].tolist())
    near = {_ordered_pair(int(rows[one.first]), int(rows[one.second])): one for one in beside}
    measured = measure(pictures, records, features, rows, list(near), report)
    for place, kind, strength in _kinds(measured):
        pair = int(measured.pairs.first[place]), int(measured.pairs.second[place])
        evidence = _evidence(measured, place, near.get(_ordered_pair(*pair)))
        found.append(_relation(pictures, pair, kind, strength, evidence))
    return sorted(found, key=lambda relation: relation.pair)


def measure(
    pictures: Sequence[Picture],
    records: Fingerprints,
    features: Array | None,
    rows: Rows,
    near: Sequence[tuple[int, int]],
    report: Reporter = _SILENT,
) -> Measured:
    """Compare whatever may be related.

    Args:
        pictures: all that decode.
        records: their fingerprints, in the same order.
        features: float32 [n, d], in the same order; None without.
        rows: those that are looked at; int64 [n], each once.
        near: pairs of rows that are neighbours by name or time.
        report: shows the progress.
    """
    beside = plain(*np.array(near, np.int64).reshape(-1, 2).T)
    parts = [by_pixels(records, rows), beside]
    close: set[tuple[int, int]] = set()
    standard = None if features is None else Standard.of(features, rows)
    if standard is not None:
        pairs, both = by_features(standard)
        parts.append(pairs)
        close = _ordered_pairs(pairs.first[both], pairs.second[both])
    # Where pixels were close, they know best where to begin.
    pairs = merged(parts, [np.full(len(p.first), -i, np.float32) for i, p in enumerate(parts)])
    with report.bar("comparing look-alikes", len(pairs.first)) as advance:
        alike = likeness(records, pairs.first, pairs.second, pairs.mirrored, pairs.start, advance)
    return Measured(
        pairs,
        alike,
        _unturned(records, pairs, alike),
        standard.products(pairs.first, pairs.second) if standard else _zeros(pairs),
        _among(pairs, close),
        _among(pairs, _ordered_pairs(beside.first, beside.second)),
        _same_category(pictures, pairs),
    )


def _unturned(records: Fingerprints, pairs: Candidates, alike: Likeness) -> Array:
    found = np.full(len(pairs.first), UNKNOWN, np.float32)
    some = np.flatnonzero(pairs.mirrored & _same(alike))
    first, second, start = pairs.first[some], pairs.second[some], pairs.start[some]
    found[some] = likeness(records, first, second, np.zeros(len(some), bool), start).detail
    return found


def _contents(pictures: Sequence[Picture]) -> Rows:
    """Return a row of each content, in the order of contents: the one of the first name."""
    first: dict[str, int] = {}
    for row in sorted(range(len(pictures)), key=lambda row: pictures[row].name):
        first.setdefault(pictures[row].sha256, row)
    return np.array([first[content] for content in sorted(first)], np.int64)


def _identical(
    pictures: Sequence[Picture], records: Fingerprints, rows: Rows
) -> tuple[list[Relation], Rows]:
    """Relate contents that show the same pixels; return also one row of each such group."""
    first: dict[bytes, int] = {}
    found = []
    for row in rows.tolist():
        same = first.setdefault(records["digest"][row].tobytes(), row)
        if same != row:
            found.append(_relation(pictures, (same, row), "identical pixels", 1.0, "same pixels"))
    return found, np.array(list(first.values()), np.int64)


def _kinds(found: Measured) -> Iterator[tuple[int, Kind, float]]:
    """Yield the place, kind and likeness of the candidates that are related, each pair once."""
    alike, turned = found.alike, found.pairs.mirrored
    copies = is_copy(found)
    series = ~turned & ~copies & is_series(found)
    named: set[tuple[int, int]] = set()
    for place in [*np.flatnonzero(copies & ~turned), *np.flatnonzero(copies & turned)]:
        pair = _ordered_pair(int(found.pairs.first[place]), int(found.pairs.second[place]))
        if pair not in named:  # what looks the same both ways is a plain copy
            named.add(pair)
            other_colours = alike.colour[place] > RECOLOURED
            plain_kind: Kind = "recoloured copy" if other_colours else "copy"
            yield (
                int(place),
                "mirrored copy" if turned[place] else plain_kind,
                float(alike.whole[place]),
            )
    for place in np.flatnonzero(series):
        pair = _ordered_pair(int(found.pairs.first[place]), int(found.pairs.second[place]))
        if pair not in named:
            yield int(place), "series", float(max(alike.whole[place], found.features[place]))


def is_copy(found: Measured) -> NDArray[np.bool]:
    """Tell which pairs show the same, but for size, edges, compression, light; bool [m].

    Or in other colours, or turned round; but not of what looks the same from both sides.
    """
    detail, turned = found.alike.detail, found.pairs.mirrored
    changed = turned | (found.alike.colour > RECOLOURED) | ~found.same
    certain = (detail >= CHANGED_DETAIL) & (~turned | (detail - found.unturned >= MIRRORED_MORE))
    return np.asarray(_same(found.alike) & (~changed | certain))


def _same(alike: Likeness) -> NDArray[np.bool]:
    return np.asarray(
        (alike.whole >= COPY_WHOLE)
        & (alike.detail >= COPY_DETAIL)
        & (alike.overlap >= COPY_OVERLAP)
    )


def is_series(found: Measured) -> NDArray[np.bool]:
    """Tell which pairs are of one series; bool [m].

    Neighbours may differ more, and be of two categories. Where names and times say nothing, the
    two must be of one category, and near one another rather than both near many.
    """
    alike, features = found.alike, found.features
    beside = found.near & ((alike.whole >= NEAR_WHOLE) | (features >= NEAR_FEATURES))
    frames = (alike.whole >= FRAME_WHOLE) & (alike.detail >= FRAME_DETAIL)
    by_looks = found.same & ((found.close & (features >= SERIES_FEATURES)) | frames)
    return np.asarray(beside | by_looks)


def _evidence(found: Measured, place: int, near: Neighbours | None) -> str:
    """Say what speaks for a relation."""
    said = [f"pixels {found.alike.whole[place]:.2f}"]
    if found.features[place]:
        said.append(f"features {found.features[place]:.2f}")
    if near:
        said.append(near.evidence)
    return ", ".join(said)


def _relation(
    pictures: Sequence[Picture], rows: tuple[int, int], kind: Kind, strength: float, evidence: str
) -> Relation:
    first, second = sorted(pictures[row].sha256 for row in rows)
    return Relation(first, second, kind, round(min(1.0, max(0.0, strength)), 3), evidence)


def _ordered_pair(first: int, second: int) -> tuple[int, int]:
    return min(first, second), max(first, second)


def _ordered_pairs(first: Rows, second: Rows) -> set[tuple[int, int]]:
    return {_ordered_pair(*pair) for pair in zip(first.tolist(), second.tolist(), strict=True)}


def _among(pairs: Candidates, some: set[tuple[int, int]]) -> NDArray[np.bool]:
    every = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    return np.array([_ordered_pair(*pair) in some for pair in every], bool)


def _same_category(pictures: Sequence[Picture], pairs: Candidates) -> NDArray[np.bool]:
    index: dict[str, int] = {}
    homes = np.array([index.setdefault(p.category, len(index)) for p in pictures], np.int64)
    return np.asarray(homes[pairs.first] == homes[pairs.second])


def _zeros(pairs: Candidates) -> Array:
    return np.zeros(len(pairs.first), np.float32)
