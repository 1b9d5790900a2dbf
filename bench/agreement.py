"""Measure whether int8 with second looks changes answers.

    python bench/agreement.py TF_FILES...

Guesses all pictures of each workspace, its test pictures included, as `guess-dir` does and with
`--precision float32`, and counts those whose best category differs. Beside it stands what the
manifest says: measured out of fold on training and validation pictures, with thresholds that were
chosen on other pictures. Bounds are Clopper-Pearson's, 95 %, one-sided.
"""

import argparse
from pathlib import Path

from scipy.special import betaincinv

from retrain.bundle import Bundle, open_bundle
from retrain.config import GuessPrecision
from retrain.data.sources import visible_files
from retrain.data.stream import cores
from retrain.infer.choice import open_engine
from retrain.infer.guess import guess
from retrain.workspace import Workspace


def best(bundle: Bundle, paths: list[Path], precision: GuessPrecision) -> list[str]:
    """Return each picture's best category; "" where it cannot be read."""
    engine = open_engine(bundle, precision, len(paths), cores())
    found = guess(engine, bundle.manifest.labels, bundle.rules, paths, cores())
    return [one.scores[0][0] if one.scores else "" for one in found]


def upper_bound(hits: int, of: int) -> float:
    """Return the upper 95 % bound of a share."""
    return 1.0 if hits == of else float(betaincinv(hits + 1, of - hits, 0.95))


def main() -> None:
    """Read the command line, guess, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workspaces", type=Path, nargs="+", metavar="TF_FILES")
    args = parser.parse_args()
    columns = ("looked twice", "pictures", "differ", "bound", "out of fold", "bound")
    print(f"{'':<40}" + "".join(f"{name:>14}" for name in columns))
    totals = [0, 0, 0, 0]
    for workspace in args.workspaces:
        bundle = open_bundle(Workspace(workspace).published())
        cascade = bundle.manifest.cascade or {}
        paths = list(visible_files(workspace / "data"))
        answers = zip(best(bundle, paths, "auto"), best(bundle, paths, "float32"), strict=True)
        counts = (
            *(len(paths), sum(one != other for one, other in answers)),
            *(cascade["pictures"], cascade["disagreements"]),
        )
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        print_row(workspace.name, f"{cascade['second_looks']:.1%}", counts)
        if not cascade["offered"]:
            print(f"    {cascade['reason']}")
    print_row("together", "", totals)


def print_row(name: str, looks: str, counts: tuple[int, ...] | list[int]) -> None:
    """Print a line: pictures and differences, guessed and out of fold."""
    all_of_them, differ, measured, found = counts
    cells = (
        *(looks, str(all_of_them), str(differ), f"{upper_bound(differ, all_of_them):.2%}"),
        *(f"{found} of {measured}", f"{upper_bound(found, measured):.2%}"),
    )
    print(f"{name:<40}" + "".join(f"{cell:>14}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
