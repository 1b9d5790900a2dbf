"""Measure a Ray cluster of this machine's processes; docs/cluster.md has the outcome.

    PYTHONPATH=src:tests python bench/cluster.py guesses TF_FILES PICTURES [--rounds 5]
    PYTHONPATH=src:tests python bench/cluster.py features PICTURES [--rounds 3] [--backbone NAME]
    PYTHONPATH=src:tests python bench/cluster.py killed TF_FILES PICTURES
    PYTHONPATH=src:tests python bench/cluster.py tuning WORK --data FOLDER [--seeds 3]
    PYTHONPATH=src:tests python bench/cluster.py journal WORK TF_FILES [--rows 1000000]

guesses    pictures a second of `guess-dir` without its copies, in turn: the lanes of one machine on
           two cores, a cluster of two nodes with a core each, a cluster of one such node. Rates are
           taken from the first results on, so that starting up is not in them; it is told besides.
features   the same of bottleneck features: this process, and two nodes with a core each.
killed     seconds that a pass over the pictures takes on two nodes, and when a worker is killed in
           the middle of it.
tuning     `retrain train` by this machine and by two nodes with a core each, for paired seeds:
           steps, seconds, and the validation loss of the last round.
journal    a `guess-dir` whose model does nothing and whose pictures are empty files: rows a second,
           the size of what it keeps, and the seconds until an interrupted one goes on. No copies.
"""

import argparse
import contextlib
import csv
import itertools
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from clusters import SECRET, Nodes, ray_nodes
from retrain.cluster.connect import Cluster, joined
from retrain.cluster.features import ClusterFeatures
from retrain.cluster.guessing import ClusterModel
from retrain.config import GuessConfig, SortConfig
from retrain.data.images import PixelRules
from retrain.data.sources import visible_files
from retrain.features import _computed_here
from retrain.infer.guess import Guess
from retrain.infer.model import Model
from retrain.jobs.guess_dir import sort_with
from retrain.progress import Silent
from retrain.run import Run
from retrain.workspace import open_run

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = 64  # results before the clock starts


def listed(folder: Path) -> list[Path]:
    """Return the files of a folder and its sub-folders."""
    return [*visible_files(folder, True, lambda *_: None)]


def rate(results: Iterator[object], total: int) -> tuple[float, float]:
    """Return results a second, and the seconds until the first ones."""
    begun = time.perf_counter()
    for _ in itertools.islice(results, SKIPPED):
        pass
    warm = time.perf_counter()
    rest = sum(1 for _ in results)
    assert rest == total - SKIPPED
    return rest / (time.perf_counter() - warm), warm - begun


def in_turn(rows: dict[str, Callable[[], tuple[float, float]]], rounds: int) -> None:
    """Time all rows, round after round; print medians and the ratio to the first row."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for _ in range(rounds):
        for name, run in rows.items():
            found[name].append(run())
    first = [pair[0] for pair in next(iter(found.values()))]
    for name, pairs in found.items():
        ratio = statistics.median(own[0] / one for own, one in zip(pairs, first, strict=True))
        middle, start = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        print(f"{name:<28}{middle:8.1f} pictures/s  {ratio:5.2f}  first after {start:5.1f} s")


def guesses(options: argparse.Namespace) -> None:
    """Compare lanes with clusters."""
    run, paths = open_run(options.tf_files), listed(options.pictures)

    def lanes() -> tuple[float, float]:
        model = Model(run, precision=GuessConfig.precision, pictures=len(paths))
        return rate(model.guess_all(paths), len(paths))

    def on(nodes: int) -> Callable[[], tuple[float, float]]:
        def measured() -> tuple[float, float]:
            with started(nodes) as cluster:
                model = ClusterModel(cluster, run, GuessConfig.precision, Silent())
                return rate(model.guess_all(paths), len(paths))

        return measured

    rows = {"lanes": lanes, "two nodes of one core": on(2), "one node of one core": on(1)}
    in_turn(rows, options.rounds)


class started:  # noqa: N801  (a context manager)
    """A cluster of nodes with a core each, joined."""

    def __init__(self, nodes: int) -> None:
        self._nodes, self._count = ray_nodes(), nodes

    def __enter__(self) -> Cluster:
        os.environ.update(SECRET)  # which Ray reads when it is imported
        self.nodes: Nodes = self._nodes.__enter__()
        for _ in range(self._count):
            self.nodes.add()
        self._joined = joined(self.nodes.address)
        return self._joined.__enter__()

    def __exit__(self, *error: object) -> None:
        self._joined.__exit__(None, None, None)
        self._nodes.__exit__(None, None, None)


def features(options: argparse.Namespace) -> None:
    """Compare features here with those of two nodes."""
    import hashlib

    from retrain.model.backbones import backbone_named
    from retrain.model.build import build_backbone
    from retrain.model.predict import Forward
    from retrain.model.weights import Weights, obtain

    backbone = backbone_named(options.backbone)
    kept = backbone.name.startswith("efficientnet_lite")
    weights = obtain(backbone, "imagenet", print) if kept else Weights("none")
    network = build_backbone(backbone, backbone.size, weights)
    forward, rules = Forward(network, constant=True), PixelRules(backbone.size, "squash")
    paths = listed(options.pictures)
    missing = {hashlib.sha256(path.read_bytes()).digest(): path for path in paths}

    def here() -> tuple[float, float]:
        return rate(_computed_here(missing, forward, rules, Silent()), len(missing))

    def there() -> tuple[float, float]:
        with started(2) as cluster:
            found = ClusterFeatures(cluster).compute(missing, network, rules, Silent())
            return rate(found, len(missing))

    in_turn({"this process": here, "two nodes of one core": there}, options.rounds)


def killed(options: argparse.Namespace) -> None:
    """Time a pass, and one in the middle of which a worker is killed."""
    run, paths = open_run(options.tf_files), listed(options.pictures)
    for kills in (False, True, False, True):
        cluster_of_two = started(2)
        with cluster_of_two as cluster:
            model = ClusterModel(cluster, run, GuessConfig.precision, Silent())
            results = model.guess_all(paths)
            for _ in itertools.islice(results, SKIPPED):
                pass
            begun = time.perf_counter()
            for count, _ in enumerate(results):
                if kills and count == len(paths) // 3:
                    os.kill(cluster_of_two.nodes.worker(2), signal.SIGKILL)
            print(f"{'killed' if kills else 'alive':<8}{time.perf_counter() - begun:7.1f} s")


def tuning(options: argparse.Namespace) -> None:
    """Train by one machine and by two nodes, with paired seeds."""
    recipe = "--minutes 0 --fine-tune always --epochs 4 --tune-folds 1 --no-int8 --no-relate"
    print("seed  by         steps  seconds of fine-tuning  last valid loss")
    for seed in range(options.seeds):
        for name, nodes in (("machine", 0), ("two nodes", 2)):
            root = options.work / f"{name}-{seed}".replace(" ", "-")
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(options.data, root / "data")
            line = [sys.executable, "-m", "retrain", "train", str(root), "--seed", str(seed)]
            line += recipe.split()
            with ray_nodes() as cluster:
                for _ in range(nodes):
                    cluster.add()
                if nodes:
                    line += ["--cluster", cluster.address]
                env = {**os.environ, **SECRET, "PYTHONPATH": str(ROOT / "src")}
                subprocess.run(line, env=env, check=True, capture_output=True)
            with (root / "model" / "history.csv").open() as file:
                rows = [row for row in csv.DictReader(file) if row["stage"] == "fine_tune"]
            seconds = sum(float(row["seconds"]) for row in rows[1:])  # the first one compiles
            loss = rows[-1]["valid_loss"]
            print(f"{seed:4d}  {name:<10} {len(rows):5d}  {seconds:22.1f}  {loss}", flush=True)


class Nothing:
    """A model that says the same of each picture."""

    least_familiar = None

    def __init__(self, run: Run) -> None:
        self.run = run
        self._categories = run.manifest.labels
        self._scores = np.full(len(self._categories), 1 / len(self._categories), np.float32)

    def guess_all(self, pictures: Iterable[Path | Guess]) -> Iterator[Guess]:
        """Yield a guess for each."""
        from retrain.infer.stamp import stamp_of

        for one in pictures:
            if isinstance(one, Guess):
                yield one
            else:
                yield Guess(one, self._categories, self._scores, stamp=stamp_of(one))


class _Enough(Exception):
    """Half of the rows are there."""


class _Half(Nothing):
    """The same, interrupted in the middle."""

    most = 0

    def guess_all(self, pictures: Iterable[Path | Guess]) -> Iterator[Guess]:
        yield from itertools.islice(super().guess_all(pictures), self.most)
        raise _Enough


def journal(options: argparse.Namespace) -> None:
    """Sort empty files, interrupted once."""
    source, dest = options.work / "empty", options.work / "sorted"
    shutil.rmtree(options.work, ignore_errors=True)
    for i in range(options.rows):
        if i % 10_000 == 0:
            folder = source / f"{i // 10_000:03d}"
            folder.mkdir(parents=True)
        (folder / f"{i}.jpg").touch()
    run = open_run(options.tf_files)
    how = SortConfig(recursive=True, dry_run=True)
    half = _Half(run)
    half.most = options.rows // 2
    begun = time.perf_counter()
    with contextlib.suppress(_Enough):
        sort_with(half, source, dest, how, Silent())
    print(f"first half: {half.most / (time.perf_counter() - begun):.0f} rows/s")
    for name in ("second half", "nothing to do"):
        begun = time.perf_counter()
        result = sort_with(Nothing(run), source, dest, how, Silent())
        seconds = time.perf_counter() - begun
        print(f"{name}: {seconds:.1f} s, {result.done_before} rows were there")
    for path in sorted(dest.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for job in (guesses, features, killed, tuning, journal):
        own = commands.add_parser(job.__name__)
        own.set_defaults(run=job)
        if job in (guesses, killed):
            own.add_argument("tf_files", type=Path)
        if job in (guesses, killed, features):
            own.add_argument("pictures", type=Path)
            own.add_argument("--rounds", type=int, default=5)
        if job is features:
            own.add_argument("--backbone", default="efficientnet_lite0")
        if job in (tuning, journal):
            own.add_argument("work", type=Path)
        if job is tuning:
            own.add_argument("--data", type=Path, required=True)
            own.add_argument("--seeds", type=int, default=3)
        if job is journal:
            own.add_argument("tf_files", type=Path)
            own.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
