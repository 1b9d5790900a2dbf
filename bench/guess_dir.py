"""Measure a folder being sorted: `retrain guess-dir` against what Keras' documentation shows.

    python bench/guess_dir.py TF_FILES SRC [--rounds 5] [--second-looks 0.05]

All use the model that is published in TF_FILES, and copy each picture of SRC to
`<category>-<score>`; each run is a process of its own, start and imports included.

(a) one file at a time   the seeds' way: load_img, model.predict on one picture
(b) load_img             load_img for all pictures, in batches of 32 through model.predict
(c) tf.data              image_dataset_from_directory, batches of 32, model.predict
(d) bare engine          our engine on pixels that are decoded already, in memory: the limit. Only
                         its inference is timed.
(e) bare decode          our decode on all cores, and nothing else: the limit for large pictures.

(a) runs on the first --few pictures alone, and counts for as many. They alternate; medians.
`--second-looks SHARE` forces that share of the guesses through float32 after int8, in a copy of
the bundle; for weights from scratch, which are never sure.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from processes import Run, print_table, run
from retrain.data.sources import visible_files
from retrain.data.stream import cores, pixel_batches
from retrain.infer.cascade import Quantised, read_head
from retrain.infer.choice import open_engine
from retrain.metrics import margins
from retrain.run import Run as Bundle
from retrain.workspace import Workspace

BATCH = 32


def one_at_a_time(bundle: Bundle, paths: list[Path], to: Path) -> None:
    """Sort as (a) does."""
    import keras

    model, size = keras.models.load_model(bundle.keras), bundle.manifest.size
    for path in paths:
        image = keras.utils.load_img(path, target_size=(size, size))
        logits = model.predict(keras.utils.img_to_array(image, dtype="uint8")[None], verbose=0)
        copy(bundle, [path], logits, to)


def load_img(bundle: Bundle, paths: list[Path], to: Path) -> None:
    """Sort as (b) does."""
    import keras

    model, size = keras.models.load_model(bundle.keras), bundle.manifest.size
    for start in range(0, len(paths), BATCH):
        some = paths[start : start + BATCH]
        images = [keras.utils.load_img(path, target_size=(size, size)) for path in some]
        pixels = np.stack([keras.utils.img_to_array(image, dtype="uint8") for image in images])
        copy(bundle, some, model.predict(pixels, verbose=0), to)


def tf_data(bundle: Bundle, paths: list[Path], to: Path) -> None:
    """Sort as (c) does. Reads the whole folder, and files with the endings that Keras knows."""
    import keras
    import tensorflow as tf

    model, size = keras.models.load_model(bundle.keras), bundle.manifest.size
    folder = os.path.commonpath([path.parent for path in paths])
    data = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(size, size), batch_size=BATCH, shuffle=False, verbose=False
    )
    pixels = data.map(lambda batch: tf.cast(batch, tf.uint8)).prefetch(tf.data.AUTOTUNE)
    logits = model.predict(pixels, verbose=0)
    copy(bundle, [Path(path) for path in data.file_paths], logits, to)


def bare_engine(bundle: Bundle, paths: list[Path], _: Path) -> None:
    """Run the engine alone, as (d) does."""
    engine = open_engine(bundle, "auto", len(paths), cores())
    batches = list(pixel_batches(paths, bundle.rules, engine.batch))
    with ThreadPoolExecutor(engine.lanes) as pool:
        list(pool.map(engine.run, batches[: 2 * engine.lanes]))
        start = time.perf_counter()
        list(pool.map(engine.run, batches))
        print("seconds", time.perf_counter() - start)


def bare_decode(bundle: Bundle, paths: list[Path], _: Path) -> None:
    """Decode alone, as (e) does."""
    start = time.perf_counter()
    for _batch in pixel_batches(paths, bundle.rules, BATCH):
        pass
    print("seconds", time.perf_counter() - start)


def copy(bundle: Bundle, paths: list[Path], logits: Any, to: Path) -> None:
    """Copy pictures to their best category and score."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    for path, row in zip(paths, powers / powers.sum(axis=1, keepdims=True), strict=True):
        name = f"{bundle.manifest.labels[row.argmax()]}-{row.max():.5f}-{path.stem}{path.suffix}"
        shutil.copy2(path, to / name)


CONTESTANTS: dict[str, Callable[[Bundle, list[Path], Path], None]] = {
    "(a) one file at a time": one_at_a_time,
    "(b) load_img, batches": load_img,
    "(c) tf.data, batches": tf_data,
    "(d) bare engine, inference alone": bare_engine,
    "(e) bare decode": bare_decode,
}
OURS = "retrain guess-dir"


def with_second_looks(bundle: Bundle, paths: list[Path], share: float, folder: Path) -> Path:
    """Copy a bundle, with a threshold below which this share of these pictures lies."""
    quantised = Quantised(bundle.int8, read_head(bundle.int8_head), cores())
    found = [
        margins(quantised.logits(quantised.features(pixels)))
        for pixels in pixel_batches(paths, bundle.rules, BATCH)
    ]
    shutil.copytree(bundle.folder, folder, ignore=shutil.ignore_patterns("saved_model"))
    manifest = json.loads((folder / "manifest.json").read_text())
    threshold = float(np.quantile(np.concatenate(found), share))
    manifest["cascade"] = {**manifest["cascade"], "offered": True, "threshold": threshold}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def command_of(
    who: str, model: Path, args: argparse.Namespace, to: str, total: int
) -> tuple[list[str], int]:
    """Return the command line that sorts into `to`, and for how many pictures."""
    if who == OURS:
        line = [sys.executable, "-m", "retrain", "guess-dir", "--recursive"]
        return [*line, str(model), str(args.src), to], total
    count = min(args.few, total) if who.startswith("(a)") else total
    line = [sys.executable, __file__, str(model), str(args.src), "--child", who]
    return [*line, "--few", str(count), "--to", to], count


def main() -> None:
    """Read the command line; a contestant's process is told so by --child."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tf_files", type=Path, help="a workspace with a trained model")
    parser.add_argument("src", type=Path, help="folder of pictures, all of them readable")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--few", type=int, default=50, help="pictures for (a)")
    parser.add_argument("--peers", default="abcde", help="letters of those to run")
    parser.add_argument("--second-looks", type=float, metavar="SHARE")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--to", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    model = Workspace(args.tf_files).published().folder
    paths = list(visible_files(args.src))
    if args.child:
        few = paths[: args.few]
        CONTESTANTS[args.child](Bundle(model), few, args.to)
        return
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if args.second_looks is not None:
            bundle = Bundle(model)
            model = with_second_looks(bundle, paths, args.second_looks, scratch / "bundle")
        runs: dict[str, list[Run]] = {}
        names = [OURS, *(name for name in CONTESTANTS if name[1] in args.peers)]
        for round_number in range(args.rounds + 1):  # the first warms the file cache
            for who in names:
                with tempfile.TemporaryDirectory(dir=scratch) as to:
                    command, count = command_of(who, model, args, to, len(paths))
                    one = run(command)
                if round_number:
                    scaled = Run(one.seconds * len(paths) / count, one.peak)
                    runs.setdefault(who, []).append(scaled)
    print_table(runs, len(paths))


if __name__ == "__main__":
    main()
