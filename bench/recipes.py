"""Compare training recipes on small sets of pictures; docs/recipes.md shows the outcome.

    python bench/recipes.py WORK --data FOLDER [--minutes 180] [--only WORD...] [--table]

FOLDER holds superheroes/, pets3/, traffic_lights/ and sign_digits/ as they were published; WORK
takes what is made of them. Each run appends one JSON line to WORK/runs.jsonl, and what stands there
is not run again: the benchmark can be stopped at any time and goes on. `--only` takes the runs
whose description holds all words; `--table` runs nothing and prints the means of what there is.

A seed deals the keys of a set (contents; persons in sign_digits) category by category into 30 % for
the test, 10 % for validation and 60 % for training. All contestants of a seed see the same sides.
sign_digits is thinned to its first 60 persons with all ten signs: 60 pictures a category.

probe      scikit-learn's logistic regression on the same features, standardised, C = 1.
probe+     the same, fitted on training and validation pictures together: it needs none to validate,
           but then nobody knows how good it is before the test.
guide      https://keras.io/guides/transfer_learning/ as its sketch has it: random flip and
           rotation, dropout .2, head with Adam 1e-3 for 20 epochs, then all weights with Adam 1e-5
           for 10, BatchNorm in inference mode, batches of 64; the weights of the end.
default    `retrain train` without options on a split of the user's own, whose validation pictures
           judge fine-tuning; without the exports and without a time budget.
head       the same with --fine-tune never.
others     --fine-tune always, and the default but for what PARTS says.

Seconds: from the decoded and checked pictures to the calibrated model, features included, with
whatever else the machine had to do.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.config import AugmentConfig, TrainConfig
from retrain.data.images import PixelRules, read_bytes
from retrain.data.records import SIDES, Picture, Side
from retrain.data.stream import pixel_batches
from retrain.metrics import calibration_error, log_loss, macro_f1, softmax
from retrain.model.backbones import Backbone, backbone_named
from retrain.progress import Silent
from retrain.training.labelled import Labelled

SETS = {
    "superheroes": "superheroes/tf_files/data",
    "pets3": "pets3",
    "traffic_lights": "traffic_lights/training",
    "sign_digits": "sign_digits",
}
HARD = "sign_digits"  # where fine-tuning moves anything
UNEQUAL = "traffic_lights"  # 21 red lights for a yellow one
SEEDS, GUIDE_SEEDS, PART_SEEDS = (0, 1, 2), (0, 1), (0,)
OTHER_BACKBONES = ("efficientnet_lite2", "mobilenetv2")
PERSONS = 60
TEST_FOLDS, VALIDATION_FOLDS = (0, 1, 2), (3,)  # of ten
GUIDE_HEAD_EPOCHS, GUIDE_TUNING_EPOCHS, GUIDE_BATCH = 20, 10, 64

Logits = Mapping[Side, NDArray[np.float32]]


def _tuned(**changes: Any) -> TrainConfig:
    config = TrainConfig()
    return replace(config, fine_tune=replace(config.fine_tune, **{"when": "always", **changes}))


PARTS: dict[str, TrainConfig] = {
    "default": TrainConfig(),
    "head": _tuned(when="never"),
    "balance auto": TrainConfig(balance="auto"),
    "always": _tuned(),
    "one rate for all layers": _tuned(learning_rates=(1e-3, 1e-3)),
    "a third of the rate": _tuned(learning_rates=(3e-5, 3e-4)),
    "constant rate": _tuned(),
    "no label smoothing": _tuned(smoothing=0.0),
    "augment none": replace(_tuned(), augment=AugmentConfig("none")),
    "augment standard": replace(_tuned(), augment=AugmentConfig("standard")),
    "augment strong": replace(_tuned(), augment=AugmentConfig("strong")),
    "rate found": _tuned(find_rate=True),
}


@dataclass(frozen=True)
class Task:
    """One run."""

    recipe: str
    data: str
    seed: int
    backbone: str = "efficientnet_lite0"
    fit: str = "squash"

    def __str__(self) -> str:
        return f"{self.recipe}, {self.data}, seed {self.seed}, {self.backbone}, {self.fit}"


def tasks() -> Iterator[Task]:
    """Yield all runs, the most wanted first; what takes long gets fewer seeds."""
    for seed in SEEDS:
        for recipe in ("probe", "probe+", "head", "default"):
            yield from (Task(recipe, data, seed) for data in SETS)
    for seed in GUIDE_SEEDS:
        yield from (Task("guide", data, seed) for data in SETS)
    for seed in SEEDS:
        for fit in ("crop", "pad"):
            yield from (Task("head", data, seed, fit=fit) for data in SETS)
        for backbone in OTHER_BACKBONES:
            yield from (Task("head", data, seed, backbone) for data in SETS)
        yield Task("balance auto", UNEQUAL, seed)
        yield Task("augment none", HARD, seed)
    for seed in PART_SEEDS:
        for backbone in OTHER_BACKBONES:
            yield Task("default", HARD, seed, backbone)
        for recipe in PARTS:
            if recipe not in ("head", "default", "balance auto", "augment none"):
                yield Task(recipe, HARD, seed)


def read_set(name: str, data: Path, count: int = PERSONS) -> list[Picture]:
    """Return the pictures of a set by name; of sign_digits those of so many persons."""
    paths = sorted((data / SETS[name]).glob("*/*"))
    persons = _persons(paths, count) if name == "sign_digits" else {}
    pictures = []
    for path in paths:
        if persons and path not in persons:
            continue
        digest = hashlib.sha256(read_bytes(path)).hexdigest()
        key = persons.get(path, digest)
        pictures.append(Picture(path, path.name, path.parent.name, digest, key))
    return pictures


def _persons(paths: Sequence[Path], count: int) -> dict[Path, str]:
    """Return who shows each sign: numbered in turn, each person shows them in rising order."""
    persons: list[list[Path]] = [[]]
    for path in sorted(paths, key=lambda p: int(re.sub(r"\D", "", p.stem))):
        if persons[-1] and path.parent.name <= persons[-1][-1].parent.name:
            persons.append([])
        persons[-1].append(path)
    whole = [person for person in persons if len(person) == 10][:count]
    return {path: f"person {i}" for i, person in enumerate(whole) for path in person}


def deal(pictures: Sequence[Picture], seed: int) -> dict[Side, list[int]]:
    """Return the indices of each side's pictures."""
    rng = np.random.default_rng(seed)
    folds: dict[str, int] = {}
    for category in sorted({p.category for p in pictures}):
        fresh = sorted({p.key for p in pictures if p.category == category} - folds.keys())
        rng.shuffle(fresh)
        folds |= {key: i % 10 for i, key in enumerate(fresh)}
    sides: dict[Side, list[int]] = {side: [] for side in SIDES}
    for i, picture in enumerate(pictures):
        fold = folds[picture.key]
        side: Side = (
            "test" if fold in TEST_FOLDS else "validation" if fold in VALIDATION_FOLDS else "train"
        )
        sides[side].append(i)
    return sides


@dataclass(frozen=True)
class Setting:
    """All that a contestant gets."""

    parts: Mapping[Side, Labelled]
    categories: Sequence[str]
    network: Any
    backbone: Backbone
    rules: PixelRules
    seed: int


Answer = tuple[Logits, float, str]  # logits, temperature, what was kept


def probe(setting: Setting, sides: Sequence[Side] = ("train",)) -> Answer:
    """Run scikit-learn's logistic regression, fitted on these sides."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    seen = [setting.parts[side] for side in sides]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    model.fit(
        np.concatenate([part.features for part in seen]),
        np.concatenate([part.labels for part in seen]),
    )
    logits: dict[Side, NDArray[np.float32]] = {
        side: np.log(np.clip(model.predict_proba(part.features), 1e-12, 1)).astype(np.float32)
        for side, part in setting.parts.items()
        if side != "train"
    }
    return logits, 1.0, "head"


def guide(setting: Setting) -> Answer:
    """Run the guide of Keras."""
    import keras

    from retrain.model.build import FEATURES

    def pixels(part: Labelled) -> NDArray[np.uint8]:
        return np.concatenate([*pixel_batches([p.path for p in part.pictures], setting.rules, 32)])

    scaling = setting.network.get_layer("scaling")  # ours takes uint8, augmented pixels are float
    base = keras.Model(scaling.output, setting.network.get_layer(FEATURES).output)
    base.trainable = False
    inputs = keras.Input((setting.rules.size, setting.rules.size, 3))
    x = keras.layers.RandomRotation(0.1)(keras.layers.RandomFlip("horizontal")(inputs))
    x = keras.layers.Dropout(0.2)(base(scaling(x), training=False))
    model = keras.Model(inputs, keras.layers.Dense(len(setting.categories))(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train, images = setting.parts["train"], pixels(setting.parts["train"])
    for trainable, rate, epochs in (
        (False, 1e-3, GUIDE_HEAD_EPOCHS),
        (True, 1e-5, GUIDE_TUNING_EPOCHS),
    ):
        base.trainable = trainable
        model.compile(keras.optimizers.Adam(rate), loss, jit_compile=False)  # as our own
        model.fit(images, train.labels, GUIDE_BATCH, epochs, verbose=0)
    logits: dict[Side, NDArray[np.float32]] = {
        side: model.predict(pixels(setting.parts[side]), GUIDE_BATCH, verbose=0)
        for side in SIDES[1:]
    }
    return logits, 1.0, "fine_tune"


OTHERS: dict[str, Callable[[Setting], Answer]] = {
    "probe": probe,
    "probe+": lambda setting: probe(setting, ("train", "validation")),
    "guide": guide,
}


def ours(recipe: str) -> Callable[[Setting], Answer]:
    """Return a runner of our recipe with one of its parts changed."""

    def run(setting: Setting) -> Answer:
        from retrain.features import seconds_per_picture
        from retrain.model.predict import Forward
        from retrain.training import fit
        from retrain.training import recipe as recipes
        from retrain.training.checkpoints import Checkpoints
        from retrain.training.folds import assign_folds
        from retrain.training.logs import TensorBoard
        from retrain.training.task import Budget
        from retrain.training.task import Task as Learning

        if recipe == "constant rate":
            vars(fit).update(rate_share=lambda *_: 1.0, momentum=lambda *_: 0.9)
        train, config = setting.parts["train"], replace(PARTS[recipe], seed=setting.seed)
        groups = [picture.key for picture in train.pictures]
        with tempfile.TemporaryDirectory() as folder:
            task = Learning(
                network=setting.network,
                backbone=setting.backbone,
                rules=setting.rules,
                parts=setting.parts,
                groups=groups,
                folds=assign_folds(groups, train.labels, config.head.folds),
                categories=tuple(setting.categories),
                config=config,
            )
            log = TensorBoard(Path(folder), setting.categories)
            seconds = seconds_per_picture(Forward(setting.network, True), setting.rules.size)
            deadline = time.monotonic() + 60 * config.minutes
            budget = Budget(seconds, deadline, Path(folder))
            checkpoints = Checkpoints(Path(folder))
            learned = recipes.learn(task, budget, checkpoints, Silent(), log=log)
        return learned.logits, learned.calibration.temperature, learned.stage

    return run


def run_child(task: Task, args: argparse.Namespace) -> None:
    """Run one task and print its JSON line."""
    import keras

    from retrain.features import bottlenecks
    from retrain.model.build import build_backbone
    from retrain.model.predict import Forward
    from retrain.model.weights import obtain

    backbone = backbone_named(task.backbone)
    rules = PixelRules(backbone.size, task.fit)  # type: ignore[arg-type]
    pictures = read_set(task.data, args.data)
    categories = sorted({p.category for p in pictures})
    labels = np.array([categories.index(p.category) for p in pictures], np.int64)
    keras.utils.set_random_seed(task.seed)
    network = build_backbone(backbone, rules.size, obtain(backbone, "imagenet", lambda _: None))
    runner = OTHERS.get(task.recipe) or ours(task.recipe)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        forward = Forward(network, constant=True)
        features = bottlenecks(pictures, network, forward, rules, Path(folder), Silent())
    parts = {
        side: Labelled([pictures[i] for i in rows], features[rows], labels[rows])
        for side, rows in deal(pictures, task.seed).items()
    }
    logits, temperature, kept = runner(
        Setting(parts, categories, network, backbone, rules, task.seed)
    )
    line = {**vars(task), "seconds": time.perf_counter() - start, "kept": kept}
    truth, answers = parts["test"].labels, logits["test"]
    before, after = softmax(answers), softmax(answers, temperature)
    line |= {
        "pictures": len(truth),
        "accuracy": float((answers.argmax(axis=1) == truth).mean()),
        "macro_f1": macro_f1(answers, truth),
        "log_loss": log_loss(after, truth),
        "calibration_error": calibration_error(after, truth),
        "temperature": temperature,
        "log_loss_before": log_loss(before, truth),
        "calibration_error_before": calibration_error(before, truth),
    }
    print(json.dumps(line))


def finished(results: Path) -> list[dict[str, Any]]:
    """Return the lines of the runs so far."""
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines()]


def run_all(args: argparse.Namespace) -> None:
    """Run what is missing, each run in a process of its own, until the time is up."""
    results = args.work / "runs.jsonl"
    args.work.mkdir(parents=True, exist_ok=True)
    names = tuple(Task.__dataclass_fields__)
    done = {Task(**{name: line[name] for name in names}) for line in finished(results)}
    spent = sum(line["seconds"] for line in finished(results))
    for task in tasks():
        if task in done or not all(word in str(task) for word in args.only):
            continue
        if spent > args.minutes * 60:
            raise SystemExit(f"{args.minutes:g} minutes are used up; --minutes allows more.")
        command = [sys.executable, __file__, str(args.work), "--data", str(args.data)]
        child = subprocess.run(
            [*command, "--task", json.dumps(vars(task))],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
        if child.returncode:
            raise SystemExit(f"{child.stderr}{task} failed with exit code {child.returncode}.")
        with results.open("a") as file:
            file.write(child.stdout.splitlines()[-1] + "\n")
        line = json.loads(child.stdout.splitlines()[-1])
        spent += line["seconds"]
        print(
            f"{task}: macro-F1 {line['macro_f1']:.4f}, log loss {line['log_loss']:.4f}, "
            f"{line['kept']}, {line['seconds']:.0f} s",
            flush=True,
        )


def print_tables(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print one Markdown table a measure: a row a contestant, a column a set, mean and spread."""
    rows = {(one["recipe"], one["backbone"], one["fit"]): None for one in lines}
    measures = (("macro_f1", 3), ("log_loss", 3), ("accuracy", 3), ("seconds", 0))
    for measure, digits in measures:
        print(f"\n| {measure} | {' | '.join(SETS)} | mean |")
        print("|---" * (len(SETS) + 2) + "|")
        for row in rows:
            cells, means = [], []
            for data in SETS:
                values = [
                    one[measure]
                    for one in lines
                    if (one["recipe"], one["backbone"], one["fit"]) == row and one["data"] == data
                ]
                if values:
                    means.append(mean(values))
                    spread = f" ± {np.std(values):.{digits}f}" if len(values) > 1 else ""
                    cells.append(f"{mean(values):.{digits}f}{spread} ({len(values)})")
                else:
                    cells.append("")
            total = f"{mean(means):.{digits}f}" if len(means) == len(SETS) else ""
            name = ", ".join(part for part in row if part not in ("efficientnet_lite0", "squash"))
            print(f"| {name} | {' | '.join(cells)} | {total} |")


def main() -> None:
    """Read the command line; the process of a run is told so by --task."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path, help="folder of the four sets")
    parser.add_argument("--minutes", type=float, default=180.0, help="for all runs together")
    parser.add_argument("--only", nargs="*", default=[], help="words of the runs to do")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.task:
        run_child(Task(**json.loads(args.task)), args)
    elif args.table:
        print_tables(finished(args.work / "runs.jsonl"))
    else:
        run_all(args)


if __name__ == "__main__":
    main()
