"""Measure our head stage against Keras' transfer-learning guide: time, accuracy, memory.

    python bench/head.py TF_FILES [--backbone efficientnet_lite0] [--rounds 3] [--epochs 10]

Both learn a linear classifier on the same frozen backbone, ImageNet weights and pictures: those of
TF_FILES/data that `retrain train --hold-out 0.1` would learn from; the others judge both. They
alternate, each run in a process of its own. The table shows medians, standard error a JSON line a
run.

ours   Decode, backbone once a picture into an empty feature cache, logistic regression, its
       penalty chosen by cross-fitting on the pictures that it learns from.
guide  https://keras.io/guides/transfer_learning/, the top layer: decode and resize in tf.data,
       cached as float32 in the first epoch, batches of 64; flip, rotation, frozen backbone,
       dropout and dense layer in one model; Adam, `fit` with validation every epoch.

Timed: from the first picture read for learning to the fitted head, compiling graphs included.
Not timed: imports; checking and splitting the pictures, which decodes each once and warms the
system's file cache for both (the guide has no such check; its seconds stand below the table);
loading the backbone; exports. Peak RSS is of the whole process, imports and check included.
Accuracy is on the pictures held out, which also choose the guide's best epoch; ours sees none.

The guide's seconds grow with its epochs: its sketch says 20, its example does 2 on 9,305 pictures,
10 is our choice. The example augments before the cache, so that every epoch sees the same views;
here the model draws them anew. Its pictures come shuffled, so these are, once. A file that Pillow
reads and TensorFlow does not, such as a TIFF, ends the benchmark.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.config import HeadConfig, PictureConfig
from retrain.data.check import check
from retrain.data.images import PixelRules
from retrain.data.records import Picture, Side
from retrain.data.sources import open_data
from retrain.data.split import assign
from retrain.data.stream import cores
from retrain.metrics import error_rate
from retrain.model.backbones import NAMES, Backbone, backbone_named
from retrain.model.weights import DEFAULT, obtain
from retrain.progress import Silent
from retrain.workspace import Workspace

Result = tuple[float, float]  # seconds, accuracy on pictures held out
CONTESTANTS = ("ours", "guide")
ROWS = (("seconds", 1), ("accuracy", 4), ("peak RSS, MB", 0))
HELD_OUT = 0.1


@dataclass(frozen=True)
class Sides:
    """The pictures that both learn from and are judged by."""

    train: Sequence[Picture]
    valid: Sequence[Picture]
    categories: tuple[str, ...]

    def labels(self, pictures: Sequence[Picture]) -> NDArray[np.int64]:
        """Return each picture's index in `categories`, int64 [n]."""
        return np.array([self.categories.index(p.category) for p in pictures], np.int64)


def read_sides(root: Path, rules: PixelRules) -> Sides:
    """Check and split the pictures as a training does."""
    dataset = open_data(root / "data")
    pictures, _ = check(dataset, rules)
    previous = Workspace(root).previous_split().sides
    sides = assign(pictures, previous, HELD_OUT, dataset.drawable)
    categories = tuple(sorted({p.category for p in pictures if sides[p.key] == "train"}))

    def on(*wanted: Side) -> list[Picture]:
        return [p for p in pictures if sides[p.key] in wanted and p.category in categories]

    found = Sides(on("train"), on("validation", "test"), categories)
    if len(categories) < 2 or not found.valid:
        raise SystemExit("The benchmark needs two categories and pictures to judge by.")
    return found


def ours(sides: Sides, network: Any, rules: PixelRules, _: argparse.Namespace) -> Result:
    """Run our head stage on an empty feature cache."""
    from retrain.features import bottlenecks
    from retrain.model.predict import Forward
    from retrain.training.folds import assign_folds
    from retrain.training.head import fit_head
    from retrain.training.labelled import Labelled

    pictures, count = [*sides.train, *sides.valid], len(sides.train)
    labels = sides.labels(pictures)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        features = bottlenecks(
            pictures, network, Forward(network, constant=True), rules, Path(folder), Silent()
        )
        train = Labelled(sides.train, features[:count], labels[:count])
        keys = [picture.key for picture in sides.train]
        folds = assign_folds(keys, train.labels, HeadConfig().folds)
        head = fit_head(train, folds, keys, HeadConfig(), None, Silent())
        seconds = time.perf_counter() - start
        return seconds, 1 - error_rate(head.logits(features[count:]), labels[count:])


def guide(sides: Sides, network: Any, rules: PixelRules, args: argparse.Namespace) -> Result:
    """Run the guide's recipe; the accuracy is that of the best epoch."""
    import keras
    import tensorflow as tf

    from retrain.model.build import FEATURES

    def decode(path: Any, label: Any) -> Any:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        return tf.image.resize(image, (rules.size, rules.size)), label

    def batches(pictures: Sequence[Picture]) -> Any:
        paths = [os.fsencode(p.path) for p in pictures]
        files = tf.data.Dataset.from_tensor_slices((paths, sides.labels(pictures)))
        decoded = files.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        return decoded.batch(64).prefetch(tf.data.AUTOTUNE).cache()

    scaling = network.get_layer("scaling")  # ours takes uint8, augmented pixels are float32
    frozen = keras.Model(scaling.output, network.get_layer(FEATURES).output)
    frozen.trainable = False
    keras.utils.set_random_seed(args.seed)
    pixels = keras.Input((rules.size, rules.size, 3))
    x = keras.layers.RandomFlip("horizontal")(pixels)
    x = keras.layers.RandomRotation(0.1)(x)
    x = frozen(scaling(x), training=False)  # ends in global average pooling
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(pixels, keras.layers.Dense(len(sides.categories))(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(), loss, metrics=["accuracy"])
    order = np.random.default_rng(args.seed).permutation(len(sides.train))
    start = time.perf_counter()
    train = batches([sides.train[i] for i in order])
    history = model.fit(train, epochs=args.epochs, validation_data=batches(sides.valid), verbose=0)
    return time.perf_counter() - start, max(history.history["val_accuracy"])


def run_child(args: argparse.Namespace, backbone: Backbone) -> None:
    """Run one contestant once and print its JSON line."""
    from retrain.model.build import build_backbone

    rules = PixelRules(backbone.size, PictureConfig().fit)
    start = time.perf_counter()
    sides = read_sides(args.tf_files, rules)
    checked = time.perf_counter() - start
    network = build_backbone(backbone, rules.size, obtain(backbone, "imagenet", lambda _: None))
    result = (guide if args.child == "guide" else ours)(sides, network, rules, args)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    line = dict(zip((name for name, _ in ROWS), (*result, peak), strict=True))
    counts = {"train": len(sides.train), "held out": len(sides.valid)}
    print(json.dumps({"who": args.child, **line, **counts, "check": checked, "cpus": cores()}))


def run_contestant(name: str, seed: int) -> dict[str, Any]:
    """Start this file anew for one contestant and return what it measured."""
    command = [sys.executable, __file__, *sys.argv[1:], "--child", name, "--seed", str(seed)]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    child = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if child.returncode:
        raise SystemExit(f"{child.stderr}{name} failed with exit code {child.returncode}.")
    print(child.stdout, end="", file=sys.stderr, flush=True)
    return dict(json.loads(child.stdout))


def compare(args: argparse.Namespace, backbone: Backbone) -> None:
    """Alternate the contestants and print the table."""
    runs = [run_contestant(name, seed) for seed in range(args.rounds) for name in CONTESTANTS]
    print(f"{'':<26}{'ours':>10}{'guide':>10}{'guide / ours':>15}")
    for row, digits in ROWS:
        mine, theirs = (median(r[row] for r in runs if r["who"] == who) for who in CONTESTANTS)
        print(f"{row:<26}{mine:10.{digits}f}{theirs:10.{digits}f}{theirs / mine:15.2f}")
    last, checked = runs[-1], median(run["check"] for run in runs)
    print(
        f"{last['train']} + {last['held out']} pictures, {backbone.name} at {backbone.size} px, "
        f"{last['cpus']} CPUs, rounds: {args.rounds}, epochs of the guide: {args.epochs}, "
        f"check (not timed): {checked:.1f} s"
    )


def main() -> None:
    """Read the command line; a contestant's process is told so by --child."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tf_files", type=Path, help="pictures in TF_FILES/data/<category>/")
    parser.add_argument("--backbone", default=DEFAULT, choices=NAMES)
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 100), metavar="N")
    parser.add_argument("--epochs", type=int, default=10, help="of the guide (default 10)")
    parser.add_argument("--child", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    (run_child if args.child else compare)(args, backbone_named(args.backbone))


if __name__ == "__main__":
    main()
