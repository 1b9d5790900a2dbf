"""How well a model tells what is unlike anything that it learned from.

    PYTHONPATH=src:bench python bench/familiar.py DATA WORK [--minutes 6]

DATA holds superheroes, pets3, traffic_lights, sign_digits and road_signs. Of each a quarter is held
out: single pictures, as conformal prediction assumes, and a second time persons of sign digits
and whole tracks of road signs, as new pictures would come. A model learns from the rest, with the
command line and its defaults but for the time. Then it is shown what was held out and pictures of
the other sets, in float32 and in int8:

- AUROC: the chance that a stranger is less familiar than a picture of the model's own kind;
- the share of true ones, and of strangers, that are called unlike anything it learned from;
- on which share int8 and float32 agree, and how far their shares lie apart.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.config import GuessPrecision
from retrain.files import file_digest
from retrain.infer.model import Model
from retrain.workspace import open_run
from trust_sets import groups_of

PAIRS = (
    ("superheroes", "pets3"),
    ("superheroes", "traffic_lights"),
    ("pets3", "superheroes"),
    ("traffic_lights", "superheroes"),
    ("sign_digits", "road_signs"),
    ("road_signs", "sign_digits"),
)
MOST = 1500  # pictures of a set to learn from, so that a training ends in time
SHOWN = 500  # pictures of each kind that a model is shown


def labelled(root: Path) -> tuple[list[Path], list[str]]:
    """Return the pictures of a set that have a category, and it."""
    found = {
        "superheroes": "tf_files/data/*/*",
        "traffic_lights": "*/*/*",
        "road_signs": "train/*/*",
    }.get(root.name, "*/*")
    paths = sorted(path for path in root.glob(found) if path.is_file())
    return paths, [path.parent.name for path in paths]


def parted(root: Path, by_group: bool) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return the pictures to learn from by category, and those held out."""
    paths, categories = labelled(root)
    names = [path.relative_to(root).as_posix() for path in paths]
    digests = [file_digest(path) for path in paths]
    groups = np.array(groups_of(root.name, names, digests) if by_group else digests)
    chosen = np.unique(groups)
    np.random.default_rng(0).shuffle(chosen)
    out = np.isin(groups, chosen[: len(chosen) // 4])
    learned: dict[str, list[Path]] = {}
    rows = np.flatnonzero(~out)
    for row in rows[:: -(-len(rows) // MOST)]:
        learned.setdefault(categories[row], []).append(paths[row])
    return learned, [paths[row] for row in np.flatnonzero(out)]


def trained(learned: dict[str, list[Path]], root: Path, minutes: float) -> Path:
    """Train in a workspace whose pictures are links, unless it was done before."""
    if (root / "model").exists():
        return root
    for category, paths in learned.items():
        (root / "data" / category).mkdir(parents=True, exist_ok=True)
        for i, path in enumerate(paths):
            link = root / "data" / category / f"{i:05d}{path.suffix}"
            if not link.is_symlink():
                link.symlink_to(path)
    command = [sys.executable, "-m", "retrain", "train", str(root), "--minutes", str(minutes)]
    with (root / "said.txt").open("w") as said:
        subprocess.run(command, stdout=said, stderr=said, check=True, env=os.environ)
    return root


def shares(root: Path, precision: GuessPrecision, pictures: Sequence[Path]) -> NDArray[np.float64]:
    """Return how familiar a model finds pictures, NaN for what it cannot read."""
    model = Model(open_run(root), precision=precision)
    return np.array([guess.familiar for guess in model.guess_all(pictures)], float)


def auroc(strangers: NDArray[np.float64], own: NDArray[np.float64]) -> float:
    """Return the chance that a stranger has less than a picture of its own kind, ties half."""
    less = (strangers[:, None] < own).mean()
    return float(less + (strangers[:, None] == own).mean() / 2)


def measured(name: str, data: Path, work: Path, minutes: float, by_group: bool) -> dict[str, Any]:
    """Return what a model of one set says of its own held-out pictures, and of others'."""
    learned, own = parted(data / name, by_group)
    root = trained(learned, work / f"{name}{'-groups' if by_group else ''}", minutes)
    run = open_run(root)
    assert run.manifest.reference is not None
    limit = run.manifest.reference["least_familiar"]
    own = own[:: -(-len(own) // SHOWN)]
    exact, quick = (shares(root, precision, own) for precision in ("float32", "int8"))
    rows: dict[str, Any] = {
        "set": name,
        "held out": "groups" if by_group else "pictures",
        "kept": run.manifest.kept,
        "judged_by": run.manifest.reference["judged_by"],
        "least_familiar": limit,
        "own": len(own),
        "own called unlike": float((exact < limit).mean()),
        "own called unlike, int8": float((quick < limit).mean()),
        "int8 agrees on own": float(((exact < limit) == (quick < limit)).mean()),
        "int8 differs by, median and 95 %": np.quantile(
            np.abs(exact - quick), [0.5, 0.95]
        ).tolist(),
        "bytes": run.reference.stat().st_size,
    }
    for other in (second for first, second in PAIRS if first == name):
        others, _ = labelled(data / other)
        others = others[:: -(-len(others) // SHOWN)]
        strange, quickly = (shares(root, precision, others) for precision in ("float32", "int8"))
        rows[other] = {
            "AUROC": auroc(strange, exact),
            "AUROC, int8": auroc(quickly, quick),
            "called unlike": float((strange < limit).mean()),
            "called unlike, int8": float((quickly < limit).mean()),
            "int8 agrees": float(((strange < limit) == (quickly < limit)).mean()),
        }
    return rows


def main() -> None:
    """Measure all sets; a line of JSON each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--sets", nargs="*", default=sorted({first for first, _ in PAIRS}))
    arguments = parser.parse_args()
    for name in arguments.sets:
        for by_group in (False, True):
            if by_group and name not in ("sign_digits", "road_signs"):
                continue
            found = measured(name, arguments.data, arguments.work, arguments.minutes, by_group)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
