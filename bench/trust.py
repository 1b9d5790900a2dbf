"""Measure whether the numbers that a training says of itself can be trusted.

    python bench/trust.py coverage|beyond|free|curve WORK --data FOLDER [--only SET...] [--table]
    python bench/trust.py speed

FOLDER holds superheroes/, pets3/, traffic_lights/, sign_digits/ and road_signs/ as they were
published; WORK takes features (EfficientNet-Lite0, computed once) and a JSON line a measurement.
What stands there is not run again: the benchmark can be stopped at any time and goes on. `--table`
runs nothing and prints what there is. Heads only, one BLAS thread a core.

coverage  200 times, whole groups (tracks in road_signs, persons in sign_digits, contents elsewhere)
          are drawn until there are about 150 pictures, then 300 (of pets3 100, of superheroes 150
          alone); all others are the truth. "road_signs test" are its single pictures.
          "now": the head of all drawn pictures, and what cross-fitting says of it. "before": the
          keys' hashes deal the pictures 80/10/10, the head of the first part, Wilson's interval of
          the last. An interval holds if the accuracy on all others is in it, allowing for the
          error of that accuracy, whose variance is added to the squared half-width. What intervals
          are widened by was chosen on the draws of 150 pictures; those of 300 confirm it.
beyond    What is lost with whole clusters held out, beside what is lost on pictures that are unlike
          those learned from: a set's own test pictures; persons and tracks that were not learned
          from, where the groups are known to the training and where not; pictures without colour.
free      The head of four fifths against that of all pictures but 30 %, which are the truth.
curve     What a learning curve expects of twice the pictures, and what comes; "off if flat" is the
          error of who expects no change.
speed     Seconds of a cross-fitted head: 2100 made-up pictures, 1280 features, 81 categories.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.config import HeadConfig

DRAWS = {"coverage": 200, "beyond": 1, "free": 3, "curve": 20}

Tasks = Callable[[Path, Path, Sequence[str], int], Iterator[Any]]
Table = Callable[[Sequence[dict[str, Any]]], None]


def parts(command: str) -> tuple[Tasks, Table]:
    """Return what a command measures and how it is printed."""
    import trust_coverage
    import trust_gains
    import trust_unlike

    found: dict[str, tuple[Tasks, Table]] = {
        "coverage": (trust_coverage.tasks, trust_coverage.table),
        "beyond": (trust_unlike.tasks, trust_unlike.table),
        "free": (trust_gains.free_tasks, trust_gains.free_table),
        "curve": (trust_gains.curve_tasks, trust_gains.curve_table),
    }
    return found[command]


def measure(args: argparse.Namespace) -> None:
    """Measure what is missing, and print the table."""
    tasks, table = parts(args.command)
    file = args.work / f"{args.command}.jsonl"
    if not args.table:
        known = [(row["set"], row["draw"]) for row in read_rows(file)]
        for key, (function, *inputs) in tasks(args.data, args.work, args.only, args.draws):
            if (key["set"], key["draw"]) not in known:
                line = json.dumps({**key, **function(*inputs)})
                with file.open("a", encoding="utf-8") as out:
                    out.write(f"\n{line}\n")  # a torn line ends here
    table(read_rows(file))


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a file of results."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def made_up(pictures: int, categories: int, width: int) -> tuple[NDArray[np.float32], Any]:
    """Return features as a backbone has them (correlated, never negative), and labels."""
    rng = np.random.default_rng(0)
    axes = 256
    spread = 1 / np.sqrt(1 + np.arange(axes) / 8)
    centres = rng.normal(0, 1, (categories, axes)) * spread
    labels = np.arange(pictures) % categories
    inner = centres[labels] + rng.normal(0, 2.3, (pictures, axes)) * spread
    features = np.maximum(inner @ rng.normal(0, 3 / 16, (axes, width)) - 0.5, 0)
    features *= np.exp(rng.normal(0, 0.5, (pictures, 1)))
    mistaken = rng.random(pictures) < 0.04
    labels = np.where(mistaken, rng.integers(0, categories, pictures), labels)
    return features.astype(np.float32), labels


def speed(_: argparse.Namespace) -> None:
    """Time one cross-fitted head."""
    from retrain.training.crossfit import cross_fit
    from retrain.training.examples import Examples
    from retrain.training.folds import assign_folds

    features, labels = made_up(2100, 81, 1280)
    keys = [str(i) for i in range(len(labels))]
    expected = _expected(features, labels, keys)
    start, used = time.perf_counter(), time.process_time()
    folds = assign_folds(keys, labels, HeadConfig().folds)
    found = cross_fit(Examples(features, labels, keys), folds.of_picture, HeadConfig())
    seconds, used = time.perf_counter() - start, time.process_time() - used
    best = found.chosen
    print(
        f"{seconds:.1f} s ({expected:.0f} s expected), {used:.1f} s on all cores together; "
        f"{len(found.trials)} penalties, "
        f"{best.penalty:g} of judged loss {best.judged_loss:.4f}"
    )


def _expected(features: NDArray[np.float32], labels: Any, keys: Sequence[str]) -> float:
    try:
        from retrain.training.crossfit import seconds_expected
        from retrain.training.examples import Examples
    except ImportError:  # an earlier version
        return math.nan
    return seconds_expected(Examples(features, labels, keys), HeadConfig().folds + 1)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("speed").set_defaults(run=speed)
    for name, draws in DRAWS.items():
        command = commands.add_parser(name)
        command.set_defaults(run=measure)
        command.add_argument("work", type=Path, metavar="WORK")
        command.add_argument("--data", type=Path, required=True, metavar="FOLDER")
        command.add_argument("--draws", type=int, default=draws, help=f"default {draws}")
        command.add_argument("--only", nargs="+", default=(), metavar="SET")
        command.add_argument("--table", action="store_true", help="run nothing")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
