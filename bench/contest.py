"""Compare rules of the contest between head and fine-tuning by their regret; docs/recipes.md.

    python bench/contest.py WORK [--draws 400]

WORK/answers is what `bench/rungs.py WORK` has kept: logits of the head and of fine-tuned models on
the same test pictures. A jury is drawn from these, of 15 to 200 pictures; it fits the temperature
of the tuned model and decides, and the rest tell how good what it chose is. *Regret* is the log
loss of the chosen model less that of the better one: its mean, and the 99th percentile. A rule is
how many standard errors the mean gain must exceed; with "always" and "never" the jury fits the
temperature only.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain.training.calibration import TUNED, fit_temperature, likely_temperature, losses

JURIES = (15, 30, 60, 120, 200)
RULES: Mapping[str, float] = {
    "always": -np.inf,
    "-1": -1.0,
    "0": 0.0,
    "0.5": 0.5,
    "1": 1.0,
    "2": 2.0,
    "never": np.inf,
}
Draw = tuple[float, float, Mapping[str, bool]]


def draws(path: Path, jury: int, count: int) -> Iterator[Draw]:
    """Yield losses of head and tuned model on the other pictures, and whether each rule tunes."""
    with np.load(path) as kept:
        labels, head, tuned = kept["test_labels"], kept["test_0"], kept["test_1"]
    if len(labels) < 2 * jury:
        return
    old = losses(head, labels, fit_temperature(head, labels))
    rng = np.random.default_rng(0)
    for _ in range(count):
        order = rng.permutation(len(labels))
        own, rest = order[:jury], order[jury:]
        new = losses(tuned, labels, likely_temperature(tuned[own], labels[own], TUNED))
        gains = old[own] - new[own]
        error = gains.std(ddof=1) / np.sqrt(jury)
        keeps = {name: bool(gains.mean() > bar * error) for name, bar in RULES.items()}
        yield float(old[rest].mean()), float(new[rest].mean()), keeps


def regrets(some: list[Draw], rule: str) -> NDArray[np.float64]:
    """Return by how much what a rule chose is worse than the better of both, per draw."""
    return np.array([(new if keeps[rule] else old) - min(old, new) for old, new, keeps in some])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--draws", type=int, default=400)
    args = parser.parse_args()
    paths = sorted((args.work / "answers").glob("*.npz"))
    print("| jury | " + " | ".join(RULES) + " |\n|---|" + "---|" * len(RULES))
    for jury in JURIES:
        some = [draw for path in paths for draw in draws(path, jury, args.draws)]
        cells = [regrets(some, rule) for rule in RULES]
        told = (f"{cell.mean():.4f} ({np.quantile(cell, 0.99):.3f})" for cell in cells)
        print(f"| {jury} | " + " | ".join(told) + " |")


if __name__ == "__main__":
    main()
