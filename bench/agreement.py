"""Measure whether int8 with second looks changes answers.

    python bench/agreement.py TF_FILES...

Guesses all pictures of each workspace as `guess-dir` does and with `--precision float32`, and
counts those whose best category differs: of all, and of its test pictures alone, on which nothing
was chosen. Beside it stands what the manifest says: measured out of fold on training and validation
pictures, with thresholds that were chosen on other pictures. Bounds are Clopper-Pearson's, 95 %,
one-sided.
"""

import argparse
from pathlib import Path

import numpy as np

from retrain.config import GuessPrecision
from retrain.data.sources import visible_files
from retrain.export.int8 import upper_95
from retrain.infer.model import Model
from retrain.run import Run
from retrain.workspace import open_run


def best(run: Run, paths: list[Path], precision: GuessPrecision) -> list[str]:
    """Return each picture's best category; "" where it cannot be read."""
    model = Model(run, precision=precision, pictures=len(paths))
    return ["" if one.error else one.best.category for one in model.guess_all(paths)]


def sides_of(run: Run) -> dict[str, str]:
    """Return the side of each picture that the model was trained with, by its path."""
    return {row.name: row.side for row in run.read_split()}


def main() -> None:
    """Read the command line, guess, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workspaces", type=Path, nargs="+", metavar="TF_FILES")
    args = parser.parse_args()
    columns = ("looked twice", "differ", "bound", "of test", "out of fold", "bound")
    print(f"{'':<32}" + "".join(f"{name:>14}" for name in columns))
    totals = [0] * 6
    for workspace in args.workspaces:
        run = open_run(workspace)
        cascade = run.manifest.cascade or {}
        data = workspace / "data"
        paths = list(visible_files(data))
        answers = zip(best(run, paths, "auto"), best(run, paths, "float32"), strict=True)
        differ = np.array([one != other for one, other in answers])
        sides = sides_of(run)
        test = np.array([sides.get(str(path.relative_to(data))) == "test" for path in paths])
        counts = (
            *(len(paths), int(differ.sum()), int(test.sum()), int((differ & test).sum())),
            *(cascade["pictures"], cascade["disagreements"]),
        )
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        print_row(workspace.name, f"{cascade['second_looks']:.1%}", counts)
        if not cascade["offered"]:
            print(f"    {cascade['reason']}")
    print_row("together", "", totals)


def print_row(name: str, looks: str, counts: tuple[int, ...] | list[int]) -> None:
    """Print a line: pictures and those that differ, of all, of test, and out of fold."""
    all_of_them, differ, test, differ_in_test, measured, found = counts
    cells = (
        *(looks, f"{differ} of {all_of_them}", f"{upper_95(differ, all_of_them):.2%}"),
        f"{differ_in_test} of {test}",
        *(f"{found} of {measured}", f"{upper_95(found, measured):.2%}"),
    )
    print(f"{name:<32}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
