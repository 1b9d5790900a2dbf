"""The drop with clusters held out, beside the drop on pictures that are unlike; see trust.py."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from retrain.config import HeadConfig
from retrain.evaluate.trust import is_large
from retrain.training.beyond import beyond
from retrain.training.crossfit import cross_fit
from retrain.training.folds import assign_folds
from trust_sets import SETS, Set, drawn, read_set, recoloured

GREY = 300  # pictures of a set that are made colourless
SHARES = (0.1, 0.3, 0.6)  # of the groups that are learned from


def tasks(data: Path, work: Path, only: Sequence[str], _: int) -> Iterator[Any]:
    """Yield the key of each measurement, and what makes it."""
    sets = {name: read_set(name, data, work) for name in only or SETS}
    for name, every in sets.items():
        for row, (shift, ours, others) in _natural(name, every):
            yield {"set": name, "draw": row}, (unlike, shift, ours, others)
        few = every[np.arange(len(every.names)) % -(-len(every.names) // GREY) == 0]
        yield (
            {"set": name, "draw": "grey"},
            (without_colour, few, recoloured(name, few, data, work)),
        )


def _natural(name: str, every: Set) -> Iterator[tuple[str, tuple[str, Set, Set]]]:
    start = {
        "superheroes": ("tf_files/", "test_data/"),
        "traffic_lights": ("training/", "test/"),
        "road_signs": ("train/", "test/"),
    }.get(name)
    if start:
        yield "its own test", ("its own test", every.where(start[0]), every.where(start[1]))
    if name in ("road_signs", "sign_digits"):
        grouped = every.where("train/") if name == "road_signs" else every
        for share in SHARES:
            ours, others = drawn(grouped, round(share * len(grouped.names)), 0)
            what = f"other {'tracks' if name == 'road_signs' else 'persons'}, {share:.0%}"
            yield f"{what}, known", (what, ours, others)
            yield f"{what}, unknown", (what, ours.alone(), others)
    if name == "pets3":
        yield "half of it", ("half", *drawn(every, 150, 0))


def unlike(_: str, ours: Set, others: Set) -> dict[str, Any]:
    """Compare what a training would say with what comes."""
    others = others[np.isin(others.categories, np.unique(ours.categories))]
    names = np.unique(ours.categories)
    said, found = _said(ours)
    answers = names[found.chosen.head.logits(others.features).argmax(axis=1)]
    truth = float((answers == others.categories).mean())
    return {**said, "truth": truth, "pictures": len(others.names)}


def without_colour(ours: Set, grey: Set) -> dict[str, Any]:
    """Compare heads on pictures that they had not seen, with and without colour."""
    said, found = _said(ours)
    right = [
        found.heads[int(fold)].logits(grey.features[[row]]).argmax() == label
        for row, (fold, label) in enumerate(zip(found.fold, ours.labels(), strict=True))
        if fold >= 0
    ]
    return {**said, "truth": float(np.mean(right)), "pictures": len(right)}


def _said(ours: Set) -> tuple[dict[str, Any], Any]:
    examples = ours.examples()
    folds = assign_folds(examples.groups, examples.labels, HeadConfig().folds)
    found = cross_fit(examples, folds.of_picture, HeadConfig())
    right = (found.logits.argmax(axis=1) == examples.labels)[found.judged]
    stress = beyond(examples, found.chosen.penalty)
    said: dict[str, Any] = {"learned": len(ours.names), "like": float(right.mean())}
    if stress:
        said |= {"beyond": stress.accuracy, "random": stress.random, "drop": stress.drop}
    return said, found


def table(rows: Sequence[dict[str, Any]]) -> None:
    """Print both drops, their rank correlation, and the warnings."""
    heads = ("learned", "like", "truth", "its drop", "beyond", "random", "drop")
    print(f"{'set':<16}{'pictures that come':<30}{''.join(f'{h:>9}' for h in heads)}")
    pairs = []
    for row in rows:
        if "drop" not in row:
            print(f"{row['set']:<16}{row['draw']:<30} nothing can be held out")
            continue
        lost = row["like"] - row["truth"]
        numbers = (row["like"], row["truth"], lost, row["beyond"], row["random"], row["drop"])
        mark = "  warned" if is_large(row["drop"]) else ""
        cells = "".join(f"{number:9.3f}" for number in numbers)
        print(f"{row['set']:<16}{row['draw']:<30}{row['learned']:9}{cells}{mark}")
        pairs.append((row["draw"] == "grey", lost, row["drop"]))
    for what, chosen in (("all", pairs), ("but grey", [p for p in pairs if not p[0]])):
        if len(chosen) > 2:
            found = spearmanr([p[1] for p in chosen], [p[2] for p in chosen])
            print(f"rank correlation, {what}: {found.statistic:.2f} of {len(chosen)}")
