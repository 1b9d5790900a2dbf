"""How often intervals hold, and how wide they are; see trust.py."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrain.config import HeadConfig
from retrain.data.split import position
from retrain.intervals import cross_fitted_share, effective_pictures
from retrain.metrics import wilson_interval
from retrain.training.crossfit import cross_fit
from retrain.training.folds import assign_folds
from trust_sets import SETS, Set, drawn, read_set

COVERED = (*SETS, "road_signs test")  # the tracks, and the single pictures
PICTURES = (150, 300)  # in a draw
FEWER = {"pets3": (100,), "superheroes": (150,)}
TWO_SIDED = 1.96

Interval = tuple[float, float, float]  # low, share, high


def tasks(data: Path, work: Path, only: Sequence[str], draws: int) -> Iterator[Any]:
    """Yield the key of each measurement, and what makes it."""
    for name in only or COVERED:
        every = read_set(name.split()[0], data, work)
        if name.startswith("road_signs"):
            every = every.where("test/" if name.endswith("test") else "train/")
        for pictures in FEWER.get(name, PICTURES):
            for draw in range(draws):
                key = {"set": name, "draw": f"{pictures} {draw}"}
                yield key, (coverage, every, pictures, draw)


def coverage(every: Set, pictures: int, seed: int) -> dict[str, Any]:
    """Measure one draw."""
    ours, others = drawn(every, pictures, seed)
    examples = ours.examples()
    folds = assign_folds(examples.groups, examples.labels, HeadConfig().folds)
    found = cross_fit(examples, folds.of_picture, HeadConfig())
    right = (found.logits.argmax(axis=1) == examples.labels)[found.judged]
    return {
        "now": {
            "right": "".join(str(int(r)) for r in right),
            "groups": examples.index[found.judged].tolist(),
            "optimism": found.optimism.accuracy,
            "penalty": found.chosen.penalty,
            **_truth(found.chosen.head.logits, others),
        },
        "before": _before(ours, others),
    }


def _before(ours: Set, others: Set) -> dict[str, Any]:
    place = np.array([position(group) for group in ours.groups.tolist()])
    train, test = ours[place < 0.8], ours[place >= 0.9]
    names = np.unique(train.categories)
    test = test[np.isin(test.categories, names)]
    if len(names) < 2 or not len(test.groups):
        return {}
    examples = train.examples()
    folds = assign_folds(examples.groups, examples.labels, HeadConfig().folds)
    logits = cross_fit(examples, folds.of_picture, HeadConfig()).chosen.head.logits
    hits = int((names[logits(test.features).argmax(axis=1)] == test.categories).sum())
    others = others[np.isin(others.categories, names)]
    return {"hits": hits, "pictures": len(test.groups), **_truth(logits, others)}


def _truth(logits: Callable[[Any], Any], others: Set) -> dict[str, float]:
    right = logits(others.features).argmax(axis=1) == others.labels()
    told_by = effective_pictures(right, others.groups.tolist())
    return {"truth": float(right.mean()), "told_by": told_by}


def intervals(row: dict[str, Any]) -> dict[str, Interval]:
    """Return the intervals of both ways."""
    now, before = row["now"], row["before"]
    right = np.array([answer == "1" for answer in now["right"]])
    judged = cross_fitted_share(right, [str(g) for g in now["groups"]], now["optimism"])
    found = {"now": (judged.interval[0], judged.share, judged.interval[1])}
    if before:
        low, high = wilson_interval(before["hits"], before["pictures"])
        found["before"] = (low, before["hits"] / before["pictures"], high)
    return found


def holds(interval: Interval, truth: float, told_by: float) -> bool:
    """Tell whether the truth is in the interval, but for its own error."""
    low, share, high = interval
    error = TWO_SIDED**2 * max(truth * (1 - truth), 0.5 / told_by) / told_by
    reach = share - low if truth < share else high - share
    return abs(truth - share) <= math.sqrt(reach**2 + error)


def table(rows: Sequence[dict[str, Any]]) -> None:
    """Print how often intervals hold, and how wide those are that do."""
    print(f"{'set':<16}{'pictures':>9}{'draws':>6}{'said':>8}{'truth':>8}{'holds':>8}", end="")
    print(f"{'width':>8}{'before:':>9}{'holds':>8}{'width':>8}{'of it':>8}")
    for name, pictures in itertools.product(COVERED, (*FEWER["pets3"], *PICTURES)):
        start = f"{pictures} "
        own = [row for row in rows if row["set"] == name and row["draw"].startswith(start)]
        if own:
            now, before = (_cells(own, way) for way in ("now", "before"))
            print(
                f"{name:<16}{pictures:9}{len(own):6}{now[0]:8.4f}{now[1]:8.4f}{now[2]:8.3f}"
                f"{now[3]:8.3f}{'':>9}{before[2]:8.3f}{before[3]:8.3f}{now[3] / before[3]:8.2f}"
            )


def _cells(rows: Sequence[dict[str, Any]], way: str) -> tuple[float, ...]:
    said, truths, held, widths = [], [], [], []
    for row in rows:
        if way not in (found := intervals(row)):
            continue
        low, share, high = found[way]
        holding = holds(found[way], row[way]["truth"], row[way]["told_by"])
        said.append(share)
        truths.append(row[way]["truth"])
        held.append(holding)
        if holding:
            widths.append(high - low)
    return tuple(float(np.mean(values)) for values in (said, truths, held, widths))
