"""Train with the real command on pictures of which a test knows nothing; the README has the table.

    python bench/accuracy.py WORK --data FOLDER [--sets NAME...] [--seeds N...] [-- OPTIONS]
    python bench/accuracy.py WORK --table

Each run is `retrain train` in a workspace of its own, whose labels.csv names sides and groups: a
seed deals the pictures of a set into 70 % to learn from and 30 % for the test, as `bench/rungs.py`
does, with 80 more persons in the test of sign_digits. WORK/accuracy.jsonl keeps what the test says;
what is there is not run again. OPTIONS go to the command, and name the row of the table.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

from retrain.files import write_csv
from rungs import ALL, dealt, pictures_of

RESULTS = "accuracy.jsonl"


def workspace(root: Path, name: str, data: Path, seed: int) -> None:
    """Fill a workspace with links to the pictures of a set, and labels.csv."""
    pictures, rows = pictures_of(name, data), []
    side_of = {i: side for side, those in dealt(pictures, name, seed).items() for i in those}
    for i, picture in enumerate(pictures):
        copy = root / "data" / f"{i:05}{picture.path.suffix}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(picture.path.absolute())
        side = "test" if side_of[i] == "test" else "train"
        rows.append((copy.name, picture.category, side, picture.key))
    write_csv(root / "data" / "labels.csv", ("path", "label", "split", "group"), rows)


def run(name: str, seed: int, data: Path, options: list[str]) -> dict[str, object]:
    """Train, and return what the test says."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "tf_files"
        workspace(root, name, data, seed)
        begun = time.monotonic()
        command = [sys.executable, "-m", "retrain", "train", str(root), "--seed", str(seed)]
        result = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if result.returncode:
            raise SystemExit(result.stderr)
        seconds = time.monotonic() - begun
        metrics = json.loads((root / "model" / "metrics.json").read_text())
        manifest = json.loads((root / "model" / "manifest.json").read_text())
    test = metrics["test"]
    return {
        "kept": manifest["kept"],
        "plan": manifest["plan"],
        "judged_by": {k: metrics[k]["log_loss"] for k in metrics if k in KINDS},
        **{key: test[key] for key in ("pictures", "accuracy", "macro_f1", "log_loss")},
        "seconds": seconds,
    }


KINDS = ("cross_fitted", "fine_tuned")


def print_table(lines: list[dict[str, object]]) -> None:
    """Print macro-F1 (log loss) by options and set, the mean over seeds."""
    sets = [name for name in ALL if any(line["set"] == name for line in lines)]
    print("| options | " + " | ".join(sets) + " |\n|---|" + "---|" * len(sets))
    for options in dict.fromkeys(str(line["options"]) for line in lines):
        cells = []
        for name in sets:
            some = [x for x in lines if (x["options"], x["set"]) == (options, name)]
            if not some:
                cells.append("")
                continue
            f1, loss, seconds = (
                mean(float(str(line[key])) for line in some)
                for key in ("macro_f1", "log_loss", "seconds")
            )
            kept = sum(line["kept"] == "fine_tune" for line in some)
            told = f"{f1:.3f} ({loss:.3f}), {seconds:.0f} s, tuned {kept} of {len(some)}"
            cells.append(told)
        print(f"| {options or 'none'} | {' | '.join(cells)} |")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(ALL), choices=ALL)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--table", action="store_true")
    parser.add_argument("options", nargs="*")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    results, options = args.work / RESULTS, " ".join(args.options)
    lines = [json.loads(x) for x in results.read_text().splitlines()] if results.exists() else []
    if args.table:
        print_table(lines)
        return
    done = {(line["set"], line["seed"], line["options"]) for line in lines}
    for seed in args.seeds:
        for name in args.sets:
            if (name, seed, options) in done:
                continue
            found = run(name, seed, args.data, args.options)
            line = {"set": name, "seed": seed, "options": options, **found}
            with results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
