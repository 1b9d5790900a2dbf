"""What learning from every picture brings, and whether learning curves foresee it; see trust.py."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrain.config import HeadConfig
from retrain.data.split import position
from retrain.metrics import log_loss, softmax
from retrain.training.crossfit import CrossFitted, cross_fit
from retrain.training.folds import assign_folds
from retrain.training.learning_curve import learning_curve
from trust_sets import SETS, Set, drawn, read_set

HELD_OUT = 0.3  # of a set, for the truth
CURVE_PICTURES = (75, 150, 300)


def free_tasks(data: Path, work: Path, only: Sequence[str], draws: int) -> Iterator[Any]:
    """Yield the key of each measurement, and what makes it."""
    for name in only or SETS:
        every = read_set(name, data, work)
        for draw in range(draws):
            yield {"set": name, "draw": draw}, (free, every, draw)


def curve_tasks(data: Path, work: Path, only: Sequence[str], draws: int) -> Iterator[Any]:
    """Yield the key of each measurement, and what makes it."""
    for name in only or SETS:
        every = read_set(name, data, work)
        for pictures in CURVE_PICTURES:
            if 3 * pictures > len(every.names):
                continue
            for draw in range(draws):
                key = {"set": name, "draw": f"{pictures} {draw}"}
                yield key, (curve, every, pictures, draw)


def fitted(ours: Set) -> CrossFitted:
    """Return the cross-fitted head of a set."""
    examples = ours.examples()
    folds = assign_folds(examples.groups, examples.labels, HeadConfig().folds)
    return cross_fit(examples, folds.of_picture, HeadConfig())


def free(every: Set, seed: int) -> dict[str, Any]:
    """Compare the head of the hash's four fifths with that of all, on the same other pictures."""
    others, ours = drawn(every, round(HELD_OUT * len(every.names)), seed)
    place = np.array([position(group) for group in ours.groups.tolist()])
    row = {}
    for way, part in (("before", ours[place < 0.8]), ("now", ours)):
        names = np.unique(part.categories)
        known = others[np.isin(others.categories, names)]
        found = fitted(part).chosen
        labels = np.searchsorted(names, known.categories)
        scores = softmax(found.head.logits(known.features), found.temperature)
        right = scores.argmax(axis=1) == labels
        row[way] = {"accuracy": float(right.mean()), "log_loss": log_loss(scores, labels)}
    return row


def curve(every: Set, pictures: int, seed: int) -> dict[str, Any]:
    """Foresee the head of twice the pictures, and fit it."""
    ours, others = drawn(every, pictures, seed)
    found = fitted(ours)
    foreseen = learning_curve(ours.examples(), found)
    more, rest = drawn(others, pictures, seed)
    twice = Set(
        *(np.concatenate([getattr(ours, f), getattr(more, f)]) for f in Set.__dataclass_fields__)
    )
    names = np.unique(twice.categories)
    rest = rest[np.isin(rest.categories, names)]
    if foreseen is None:
        return {}
    answers = names[fitted(twice).chosen.head.logits(rest.features).argmax(axis=1)]
    return {
        "now": foreseen.accuracy[-1],
        "foreseen": foreseen.doubled,
        "interval": foreseen.interval,
        "truth": float((answers == rest.categories).mean()),
        "pictures": len(rest.names),
    }


def free_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print means and the spread of the differences."""
    print(f"{'set':<16}{'draws':>6}{'accuracy:':>11}{'before':>8}{'now':>8}{'gain':>9}", end="")
    print(f"{'spread':>8}{'log loss:':>11}{'before':>8}{'now':>8}{'gain':>9}{'spread':>8}")
    for name in SETS:
        own = [row for row in rows if row["set"] == name]
        if not own:
            continue
        print(f"{name:<16}{len(own):6}", end="")
        for what, sign in (("accuracy", 1), ("log_loss", -1)):
            pairs = np.array([[row[way][what] for way in ("before", "now")] for row in own])
            gains = sign * (pairs[:, 1] - pairs[:, 0])
            spread = gains.std(ddof=1) if len(gains) > 1 else np.nan
            print(f"{'':>11}{pairs[:, 0].mean():8.4f}{pairs[:, 1].mean():8.4f}", end="")
            print(f"{gains.mean():+9.4f}{spread:8.4f}", end="")
        print()


def curve_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print what was foreseen and what came, in the mean over draws."""
    heads = ("draws", "now", "foreseen", "truth", "off by", "holds", "width", "off if flat")
    print(f"{'set':<16}{'pictures':>9}{''.join(f'{h:>12}' for h in heads)}")
    for name in SETS:
        for pictures in CURVE_PICTURES:
            start = f"{pictures} "
            own = [r for r in rows if r["set"] == name and r["draw"].startswith(start)]
            own = [row for row in own if "truth" in row]
            if not own:
                continue
            now, ahead, truth = (
                np.array([row[key] for row in own]) for key in ("now", "foreseen", "truth")
            )
            low, high = np.array([row["interval"] for row in own]).T
            held = ((low <= truth) & (truth <= high)).mean()
            off, flat = np.abs(ahead - truth).mean(), np.abs(now - truth).mean()
            numbers = (now.mean(), ahead.mean(), truth.mean(), off, held, (high - low).mean(), flat)
            cells = "".join(f"{number:12.3f}" for number in numbers)
            print(f"{name:<16}{pictures:9}{len(own):12}{cells}")
