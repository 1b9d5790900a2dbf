"""Measure whether the numbers that a training says of itself can be trusted.

    python bench/trust.py coverage WORK --data FOLDER [--draws 200] [--only SET...] [--table]
    python bench/trust.py speed

FOLDER holds superheroes/, pets3/, traffic_lights/, sign_digits/ and road_signs/ as they were
published; WORK takes features (EfficientNet-Lite0, computed once) and a JSON line a draw. What
stands there is not run again: the benchmark can be stopped at any time and goes on. `--table` runs
nothing and prints what there is. Heads only, one BLAS thread a core.

coverage  Whole groups (tracks in road_signs, persons in sign_digits, contents elsewhere) are drawn
          until there are about 150 pictures, 100 in pets3; all others are the truth. "now": the
          head of all drawn pictures, and what cross-fitting says of it. "before": the keys' hashes
          deal the pictures 80/10/10, the head of the first part, Wilson's interval of the last.
          An interval holds if the accuracy on all others is in it, allowing for the error of that
          accuracy, whose variance is added to the squared half-width.
speed     Seconds of a cross-fitted head: 2100 made-up pictures, 1280 features, 81 categories.
          It runs on earlier versions, too.
"""

import argparse
import csv
import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.config import HeadConfig
from retrain.progress import Silent

SETS = ("superheroes", "pets3", "traffic_lights", "sign_digits", "road_signs")
TUNED_ON = ("superheroes", "pets3", "road_signs")  # the others confirm
DRAWN = {"pets3": 100}
PICTURES = 150
TWO_SIDED = 1.96


@dataclass(frozen=True)
class Set:
    """Pictures with features [n, d]; groups: what belongs together by content, track or person."""

    names: NDArray[np.str_]
    categories: NDArray[np.str_]
    groups: NDArray[np.str_]
    features: NDArray[np.float32]

    def __getitem__(self, rows: NDArray[Any]) -> "Set":
        return Set(self.names[rows], self.categories[rows], self.groups[rows], self.features[rows])

    def labels(self) -> NDArray[np.int64]:
        """Return the index of each picture's category among those that occur."""
        return np.unique(self.categories, return_inverse=True)[1].astype(np.int64)


def read_set(name: str, data: Path, work: Path) -> Set:
    """Return a set, its features computed where WORK lacks them."""
    cache = work / "features" / f"{name}.npz"
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        part = cache.with_suffix(".part.npz")
        np.savez(part, allow_pickle=False, **_computed(data / name))
        part.rename(cache)
    with np.load(cache) as found:
        return Set(found["names"], found["labels"], found["groups"], found["features"])


def _computed(root: Path) -> dict[str, NDArray[Any]]:
    from retrain.data.images import BadPicture, PixelRules, read_bytes, read_pixels
    from retrain.data.stream import pixel_batches
    from retrain.model.backbones import backbone_named
    from retrain.model.build import build_backbone
    from retrain.model.predict import BATCH, Forward
    from retrain.model.weights import obtain

    backbone = backbone_named("efficientnet_lite0")
    rules = PixelRules(backbone.size, "squash")
    weights = obtain(backbone, "imagenet", lambda _: None)
    forward = Forward(build_backbone(backbone, rules.size, weights), constant=True)
    given, digests = _given_labels(root), {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        try:
            content = read_bytes(path)
            read_pixels(content, rules)
            digests[path] = hashlib.sha256(content).hexdigest()
        except BadPicture:
            continue
    blocks = [forward(pixels) for pixels in pixel_batches(list(digests), rules, BATCH)]
    names = [path.relative_to(root).as_posix() for path in digests]
    return {
        "names": np.array(names),
        "labels": np.array([given.get(n, n.split("/")[-2]) for n in names]),
        "groups": np.array(groups_of(root.name, names, list(digests.values()))),
        "features": np.concatenate(blocks).astype(np.float32),
    }


def _given_labels(root: Path) -> dict[str, str]:
    table = root / "test_labels.csv"
    if not table.exists():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        return {f"test_data/{row['file']}": row["category"] for row in csv.DictReader(file)}


def groups_of(name: str, names: Sequence[str], digests: Sequence[str]) -> list[str]:
    """Return the group of each picture: its track or person, else its content."""
    if name == "road_signs":
        return [n.rsplit("_", 1)[0] if n.startswith("train/") else n for n in names]
    if name != "sign_digits":
        return list(digests)
    persons, person, last = {}, 0, ""
    for picture in sorted(names, key=lambda n: int(re.sub(r"\D", "", n.split("/")[-1]))):
        digit = picture.split("/")[0]
        person += digit <= last  # each person shows the signs in rising order
        persons[picture], last = f"person {person}", digit
    return [persons[picture] for picture in names]


def drawn(every: Set, pictures: int, seed: int) -> tuple[Set, Set]:
    """Return whole groups of about so many pictures, and all others of the same categories."""
    names = np.unique(every.groups)
    np.random.default_rng(seed).shuffle(names)
    sizes = {g: int(c) for g, c in zip(*np.unique(every.groups, return_counts=True), strict=True)}
    until = int(np.searchsorted(np.cumsum([sizes[g] for g in names]), pictures)) + 1
    chosen = np.isin(every.groups, names[:until])
    known = np.isin(every.categories, np.unique(every.categories[chosen]))
    return every[chosen], every[~chosen & known]


def coverage_sets(data: Path, work: Path, only: Sequence[str]) -> Iterator[tuple[str, Set]]:
    """Yield the pictures that draws are made from; of road_signs the tracks alone."""
    for name in only or SETS:
        every = read_set(name, data, work)
        if name == "road_signs":
            every = every[np.char.startswith(every.names, "train/")]
        yield name, every


def coverage(every: Set, pictures: int, seed: int) -> dict[str, Any]:
    """Measure one draw."""
    from retrain.training.crossfit import cross_fit
    from retrain.training.examples import Examples
    from retrain.training.folds import assign_folds

    ours, others = drawn(every, pictures, seed)
    labels, config = ours.labels(), HeadConfig()
    folds = assign_folds(ours.groups.tolist(), labels, config.folds)
    examples = Examples(ours.features, labels, ours.groups.tolist())
    found = cross_fit(examples, folds.of_picture, config)
    seen = found.judged
    right = found.logits[seen].argmax(axis=1) == labels[seen]
    index = np.unique(ours.groups[seen], return_inverse=True)[1]
    return {
        "now": {
            "right": "".join(str(int(r)) for r in right),
            "groups": index.tolist(),
            "optimism": found.optimism.accuracy,
            "penalty": found.chosen.penalty,
            **_truth(found.chosen.head.logits, others),
        },
        "before": _before(ours, others),
    }


def _before(ours: Set, others: Set) -> dict[str, Any]:
    from retrain.data.split import position
    from retrain.training.head import best_head, fit_head

    place = np.array([position(group) for group in ours.groups.tolist()])
    train, test = ours[place < 0.8], ours[place >= 0.9]
    known = np.isin(test.categories, np.unique(train.categories))
    test = test[known]
    if len(np.unique(train.categories)) < 2 or not len(test.groups):
        return {}
    nothing = (train.features[:0], train.labels()[:0])
    keys, names = train.groups.tolist(), np.unique(train.categories)
    heads = fit_head(
        (train.features, train.labels()), nothing, keys, len(names), HeadConfig(), None, Silent()
    )
    logits = best_head(heads).logits
    guesses = names[logits(test.features).argmax(axis=1)]
    others = others[np.isin(others.categories, names)]
    hits = int((guesses == test.categories).sum())
    return {"hits": hits, "pictures": len(guesses), **_truth(logits, others)}


def _truth(logits: Callable[[Any], Any], others: Set) -> dict[str, float]:
    from retrain.intervals import effective_pictures

    right = logits(others.features).argmax(axis=1) == others.labels()
    effective = effective_pictures(right, others.groups.tolist())
    return {"truth": float(right.mean()), "told_by": effective}


def intervals(row: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Return low, share and high for both ways."""
    from retrain.intervals import cross_fitted_share
    from retrain.metrics import wilson_interval

    found = {}
    if row["now"]:
        now = row["now"]
        right = np.array([answer == "1" for answer in now["right"]])
        groups = [str(group) for group in now["groups"]]
        judged = cross_fitted_share(right, groups, now["optimism"])
        found["now"] = (judged.interval[0], judged.share, judged.interval[1])
    if row["before"]:
        hits, total = row["before"]["hits"], row["before"]["pictures"]
        low, high = wilson_interval(hits, total)
        found["before"] = (low, hits / total, high)
    return found


def holds(interval: tuple[float, float, float], truth: float, told_by: float) -> bool:
    """Tell whether the truth is in the interval, but for its own error."""
    low, share, high = interval
    error = TWO_SIDED**2 * max(truth * (1 - truth), 0.5 / told_by) / told_by
    reach = share - low if truth < share else high - share
    return abs(truth - share) <= math.sqrt(reach**2 + error)


def coverage_table(rows: Sequence[dict[str, Any]]) -> None:
    """Print how often intervals hold, and how wide those are that do."""
    print(f"{'set':<16}{'draws':>6}{'said':>8}{'truth':>8}{'holds':>8}{'width':>8}", end="")
    print(f"{'before:':>9}{'holds':>8}{'width':>8}{'of it':>8}")
    for name in SETS:
        own = [row for row in rows if row["set"] == name]
        if not own:
            continue
        cells = {way: _coverage_cells(own, way) for way in ("now", "before")}
        now, before = cells["now"], cells["before"]
        print(
            f"{name:<16}{len(own):6}{now[0]:8.4f}{now[1]:8.4f}{now[2]:8.3f}{now[3]:8.3f}"
            f"{'':>9}{before[2]:8.3f}{before[3]:8.3f}{now[3] / before[3]:8.2f}"
        )


def _coverage_cells(rows: Sequence[dict[str, Any]], way: str) -> tuple[float, ...]:
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


def resumed(file: Path, keys: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the runs that the file lacks."""
    known = [{key: row[key] for key in ("set", "draw")} for row in read_rows(file)]
    yield from (key for key in keys if key not in known)


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file of results."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]


def run_coverage(args: argparse.Namespace) -> None:
    """Measure the draws that are missing, and print the table."""
    file = args.work / "coverage.jsonl"
    if not args.table:
        for name, every in coverage_sets(args.data, args.work, args.only):
            wanted = [{"set": name, "draw": draw} for draw in range(args.draws)]
            for key in resumed(file, wanted):
                row = {**key, **coverage(every, DRAWN.get(name, PICTURES), key["draw"])}
                with file.open("a") as out:
                    out.write(json.dumps(row) + "\n")
    coverage_table(read_rows(file))


def made_up(pictures: int, categories: int, width: int) -> tuple[NDArray[np.float32], Any]:
    """Return features as a backbone has them (correlated, never negative), and labels."""
    rng = np.random.default_rng(0)
    axes = 256
    spread = 1 / np.sqrt(1 + np.arange(axes) / 8)
    centres = rng.normal(0, 1, (categories, axes)) * spread
    labels = np.arange(pictures) % categories
    inner = centres[labels] + rng.normal(0, 2.3, (pictures, axes)) * spread
    features = np.maximum(inner @ rng.normal(0, 3 / 16, (axes, width)) - 0.5, 0)
    mistaken = rng.random(pictures) < 0.04
    labels = np.where(mistaken, rng.integers(0, categories, pictures), labels)
    return features.astype(np.float32), labels


def run_speed(_: argparse.Namespace) -> None:
    """Time one cross-fitted head."""
    from retrain.training.head import best_head, fit_head

    features, labels = made_up(2100, 81, 1280)
    keys = [str(i) for i in range(len(labels))]
    start, used = time.perf_counter(), time.process_time()
    heads = fit_head(
        (features, labels), (features[:0], labels[:0]), keys, 81, HeadConfig(), None, Silent()
    )
    seconds, used = time.perf_counter() - start, time.process_time() - used
    best = best_head(heads)
    print(
        f"{seconds:.1f} s, {used:.1f} s of them computing; {len(heads)} penalties, "
        f"{best.penalty:g} of judged loss {best.judged_loss:.4f}"
    )


RUNS = {"coverage": run_coverage, "speed": run_speed}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in RUNS:
        command = commands.add_parser(name)
        if name == "speed":
            continue
        command.add_argument("work", type=Path, metavar="WORK")
        command.add_argument("--data", type=Path, required=True, metavar="FOLDER")
        command.add_argument("--draws", type=int, default=200)
        command.add_argument("--only", nargs="+", choices=SETS, default=(), metavar="SET")
        command.add_argument("--table", action="store_true", help="run nothing")
    args = parser.parse_args()
    RUNS[args.command](args)


if __name__ == "__main__":
    main()
