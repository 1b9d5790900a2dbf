"""Measure what a check of the pictures finds, and what it takes for a mistake that is none.

    python bench/know.py labels|strangers|corrected|shortcuts|exchanges|seconds WORK --data FOLDER

FOLDER holds superheroes/, pets3/, traffic_lights/, sign_digits/ and road_signs/ as they were
published; WORK takes features (as for bench/trust.py) and workspaces.

labels     60 labels are flipped among pets3 and road_signs (2,000 pictures): how many of them are
           among the first 60 and 120 findings; beside it cleanlab's on the same probabilities.
           Expected: 0.98 of them among the first 120, for both.
strangers  20 pictures of another set among a set's own: how many are in the first 40 unusual ones.
           "spread": they lie in all categories; "together": all in one.
corrected  As labels, without 30 % of the pictures, which are the truth: accuracy of the head
           before, and after the first 60 findings were corrected by truth; three draws.
shortcuts  Sets as they are: no alarm is right. The stamped date of docs/guide.md, and a black
           border of four pixels on one category: alarms are right for that cue.
exchanges  The labels of each set are exchanged at random, 50 times: how often a cue tells a
           category by itself, without which no alarm can be raised.
seconds    How long `retrain check` takes for 2,000 pictures, before a training and after it.
"""

import argparse
import runpy
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from retrain.config import HeadConfig
from retrain.data.records import Picture
from retrain.progress import Silent
from trust_sets import SETS, Set, read_set

FLIPPED, PICTURES = 60, 2000
STRANGERS, LOOKED_AT = 20, 40
DRAWS, EXCHANGES = 3, 50
HELD_BACK = 0.3
FOLDERS = {
    "superheroes": "superheroes/tf_files/data",
    "pets3": "pets3",
    "traffic_lights": "traffic_lights/training",
    "sign_digits": "sign_digits",
    "road_signs": "road_signs/train",
}


def noisy(args: argparse.Namespace, seed: int) -> tuple[Set, NDArray[Any], NDArray[Any]]:
    """Return pictures, their true labels, and those of which 60 are wrong."""
    rng = np.random.default_rng(seed)
    pets = read_set("pets3", args.data, args.work)
    signs = read_set("road_signs", args.data, args.work).where("train/")
    some = rng.choice(len(signs.names), PICTURES - len(pets.names), replace=False)
    signs = signs[np.sort(some)]
    both = Set(
        np.concatenate([pets.names, signs.names]),
        np.concatenate([pets.categories, signs.categories]),
        np.concatenate([pets.groups, signs.groups]),
        np.concatenate([pets.features, signs.features]),
    )
    truth = both.labels()
    labels = truth.copy()
    for row in rng.choice(len(truth), FLIPPED, replace=False):
        others = [label for label in range(int(truth.max()) + 1) if label != truth[row]]
        labels[row] = rng.choice(others)
    return both, truth, labels


def pictures_of(every: Set, labels: NDArray[Any]) -> list[Picture]:
    """Return pictures without files, whose keys are their groups."""
    return [
        Picture(Path(name), name, str(label), f"{row:064x}", group)
        for row, (name, label, group) in enumerate(
            zip(every.names.tolist(), labels.tolist(), every.groups.tolist(), strict=True)
        )
    ]


def probabilities(every: Set, labels: NDArray[Any]) -> NDArray[np.float32]:
    """Return what rough heads say that had not seen the picture."""
    from retrain.jobs.rough_heads import fit_rough_heads

    pictures = pictures_of(every, labels)
    return fit_rough_heads(pictures, labels, every.features, (), {}).probabilities


def labels(args: argparse.Namespace) -> None:
    """Count flipped labels among the first findings."""
    from cleanlab.filter import find_label_issues

    from retrain.evaluate.label_errors import doubts

    for seed in range(DRAWS):
        every, truth, given = noisy(args, seed)
        scores, flipped = probabilities(every, given), truth != given
        found = doubts(scores, given)
        ours = found.wrong(given)
        theirs = find_label_issues(
            given, scores, return_indices_ranked_by="normalized_margin", n_jobs=1
        )
        shares = [
            flipped[rows[:first]].sum() / FLIPPED for rows in (ours, theirs) for first in (60, 120)
        ]
        print(
            f"draw {seed}: ours {shares[0]:.3f} in 60, {shares[1]:.3f} in 120 of {len(ours)}; "
            f"cleanlab {shares[2]:.3f}, {shares[3]:.3f} of {len(theirs)}; suggestion right "
            f"{(found.best[flipped] == truth[flipped]).mean():.3f}"
        )


def strangers(args: argparse.Namespace) -> None:
    """Count strangers among the first unusual pictures."""
    from retrain.evaluate.unusual import UNUSUAL, strangeness

    sets = {name: read_set(name, args.data, args.work) for name in SETS}
    pairs = [(host, guest) for host in SETS for guest in SETS if host != guest]
    for host, guest in sorted(pairs, key=lambda pair: pair != ("pets3", "traffic_lights")):
        line = []
        for together in (False, True):
            counts = []
            for seed in range(DRAWS):
                rng = np.random.default_rng(seed)
                own = sets[host]
                own = own[np.sort(rng.permutation(len(own.names))[:1000])]
                others = sets[guest][rng.choice(len(sets[guest].names), STRANGERS, replace=False)]
                names = np.unique(own.categories)
                homes = rng.choice(names[:1] if together else names, STRANGERS)
                labels = np.unique(np.concatenate([own.categories, homes]), return_inverse=True)[1]
                strange = strangeness(np.concatenate([own.features, others.features]), labels)
                first = np.argsort(-strange)[:LOOKED_AT]
                flagged = int((strange[: len(own.names)] >= UNUSUAL).sum())
                counts.append((int((first >= len(own.names)).sum()), flagged))
            line.append(
                f"{'together' if together else 'spread'} {[c for c, _ in counts]}, own pictures "
                f"flagged {[f for _, f in counts]}"
            )
        print(f"{guest} among {host}: {'; '.join(line)}", flush=True)


def corrected(args: argparse.Namespace) -> None:
    """Compare heads before and after the first findings were corrected by truth."""
    from retrain.evaluate.label_errors import doubts

    for seed in range(DRAWS):
        every, truth, given = noisy(args, seed)
        rng = np.random.default_rng(100 + seed)
        groups = np.unique(every.groups)
        held = rng.choice(groups, int(HELD_BACK * len(groups)), replace=False)
        apart = np.isin(every.groups, held)
        learned, others, own, labels = every[~apart], every[apart], truth[~apart], given[~apart]
        found = doubts(probabilities(learned, labels), labels).wrong(labels)[:FLIPPED]
        better = labels.copy()
        better[found] = own[found]
        before, after, best = (
            _accuracy(learned, some, others, truth[apart]) for some in (labels, better, own)
        )
        print(
            f"draw {seed}: {(labels != own).sum()} wrong labels of {len(own)}, "
            f"{(better != own).sum()} after correcting; accuracy on {apart.sum()} others "
            f"{before:.4f} -> {after:.4f}; with true labels {best:.4f}",
            flush=True,
        )


def _accuracy(learned: Set, labels: NDArray[Any], others: Set, truth: NDArray[Any]) -> float:
    """Return how often a head is right on other pictures."""
    from retrain.training.crossfit import cross_fit
    from retrain.training.examples import Examples
    from retrain.training.folds import assign_folds

    keys = learned.groups.tolist()
    folds = assign_folds(keys, labels, HeadConfig().folds).of_picture
    head = cross_fit(Examples(learned.features, labels, keys), folds, HeadConfig()).chosen.head
    return float((head.logits(others.features).argmax(axis=1) == truth).mean())


def workspace(root: Path, data: Path) -> Path:
    """Return a workspace whose data folder is a link."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / "data").is_symlink():
        (root / "data").symlink_to(data.resolve())
    return root


def bordered(root: Path, source: Path, category: str) -> Path:
    """Return a workspace with pictures of a set, of which one category has a black border."""
    for path in sorted(source.glob("*/*")):
        target = root / "data" / path.parent.name / f"{path.stem}.png"
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        image = Image.open(path).convert("RGB")
        if path.parent.name == category:
            corner = (image.width - 1, image.height - 1)
            ImageDraw.Draw(image).rectangle((0, 0, *corner), None, "black", 4)
        image.save(target)
    return root


def stamped(root: Path) -> Path:
    """Return a workspace with the stamped pictures of docs/guide.md."""
    if not (root / "data").exists():
        arguments, sys.argv = sys.argv, ["stamped.py", str(root)]
        script = Path(__file__).resolve().parents[1] / "docs" / "guide" / "stamped.py"
        runpy.run_path(str(script), run_name="__main__")
        sys.argv = arguments
    return root


def shortcuts(args: argparse.Namespace) -> None:
    """Print the shortcuts of sets as they are, and of marked ones."""
    from retrain.evaluate.findings import of_kind
    from retrain.jobs.check import check

    def cases() -> Iterator[tuple[str, Path]]:
        for name in SETS:
            yield (
                f"{name} as it is",
                workspace(args.work / "as-it-is" / name, args.data / FOLDERS[name]),
            )
        yield "stamped date", stamped(args.work / "stamped")
        for name in ("pets3", "superheroes"):
            source = args.data / FOLDERS[name]
            for category in sorted(path.name for path in source.iterdir()):
                root = args.work / "bordered" / f"{name}-{category}"
                yield f"{name}, border on {category}", bordered(root, source, category)

    for name, root in cases():
        found = of_kind(check(root, Silent()).findings, "shortcut")
        said = [one.why.split(" (area")[0] for one in found]
        print(f"{name}: {'; '.join(said) or 'silent'}", flush=True)


def exchanges(args: argparse.Namespace) -> None:
    """Count cues that tell a category whose labels are exchanged at random."""
    from retrain.config import TrainConfig
    from retrain.data.described import fingerprints
    from retrain.data.headers import headers
    from retrain.data.images import PixelRules
    from retrain.evaluate.cue_candidates import Judged, candidates
    from retrain.evaluate.cues import Looks
    from retrain.jobs.shortcuts import measure_sharpness
    from retrain.jobs.training_data import gather
    from retrain.training.folds import assign_folds
    from retrain.workspace import Workspace

    for name in SETS:
        root = workspace(args.work / "as-it-is" / name, args.data / FOLDERS[name])
        place, silent = Workspace(root), Silent()
        pictures = gather(place, PixelRules(224, "squash"), TrainConfig(), silent).pictures
        pictures = [pictures[i] for i in np.linspace(0, len(pictures) - 1, 1000).astype(int)]
        records = fingerprints(pictures, place.bottlenecks, silent)
        looks = Looks(records, headers(pictures, silent), measure_sharpness(pictures, silent))
        names, labels = np.unique([p.category for p in pictures], return_inverse=True)
        keys, alarms = [p.key for p in pictures], 0
        for seed in range(EXCHANGES):
            mixed = np.random.default_rng(seed).permutation(labels)
            fold = assign_folds(keys, mixed, 5).of_picture
            alarms += bool(candidates(Judged(pictures, mixed, fold, keys, names.tolist()), looks))
        print(f"{name}: {alarms} of {EXCHANGES} exchanges", flush=True)


def seconds(args: argparse.Namespace) -> None:
    """Time `retrain check`."""
    import subprocess

    root = args.work / "seconds"
    rng = np.random.default_rng(0)
    for name in ("pets3", "road_signs"):
        paths = sorted((args.data / FOLDERS[name]).glob("*/*"))
        most = PICTURES - 300 if name == "road_signs" else len(paths)
        for i in np.sort(rng.permutation(len(paths))[:most]).tolist():
            link = root / "data" / paths[i].parent.name / paths[i].name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(paths[i].resolve())

    def run(*arguments: str) -> float:
        start = time.perf_counter()
        command = [sys.executable, "-m", "retrain", *arguments]
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start

    print(
        f"before a training {run('check', str(root)):.1f} s, again {run('check', str(root)):.1f} s"
    )
    run("train", str(root), "--fine-tune", "never", "--no-int8")
    print(f"after it {run('check', str(root)):.1f} s, again {run('check', str(root)):.1f} s")


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = {
        f.__name__: f for f in (labels, strangers, corrected, shortcuts, exchanges, seconds)
    }
    parser.add_argument("command", choices=commands)
    parser.add_argument("work", type=Path, metavar="WORK")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args(arguments)
    args.work.mkdir(parents=True, exist_ok=True)
    commands[args.command](args)


if __name__ == "__main__":
    main()
