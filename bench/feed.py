"""Time the input side of fine-tuning, in pictures a second; docs/cluster.md has the outcome.

    python bench/feed.py [--threads N...] [--pictures 600] [--batches 60] [--augment light]

Needs no TensorFlow and no GPU, so that it can be asked on the machine that has one whether its
cores would keep it busy. Drawn JPEGs of 640 x 480 are decoded, augmented and put together to
batches of 32 at 224 px. `fresh` decodes each; `kept` finds the decoded picture in the store, as
all visits but the first do.
"""

import argparse
import os
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from retrain.config import AugmentConfig
from retrain.data.images import PixelRules
from retrain.data.records import Picture
from retrain.data.stream import cores
from retrain.training.pipeline import RandomViews, Visits
from retrain.training.store import Store

BATCH = 32


def draw(folder: Path, count: int) -> list[Picture]:
    """Write JPEGs with something to see on every scale."""
    rng, pictures = np.random.default_rng(0), []
    for i in range(count):
        small = rng.integers(0, 256, (15, 20, 3), np.uint8)
        image = Image.fromarray(small).resize((640, 480), Image.Resampling.BICUBIC)
        noise = Image.fromarray(rng.integers(0, 256, (480, 640, 3), np.uint8))
        noise = noise.filter(ImageFilter.GaussianBlur(1))
        path = folder / f"{i}.jpg"
        Image.blend(image, noise, 0.2).save(path, quality=90)
        pictures.append(Picture(path, path.name, "any", f"{i:064x}", path.name))
    return pictures


def rates(pictures: list[Picture], batches: int, augment: AugmentConfig) -> tuple[float, float]:
    """Return pictures a second: views of files, and of what the store keeps."""
    found = []
    with tempfile.TemporaryDirectory() as place:
        visits = Visits(
            pictures=pictures,
            labels=np.zeros(len(pictures), np.intp),
            categories=1,
            rules=PixelRules(224, "squash"),
            batch=BATCH,
            augment=augment,
            seed=0,
            sources=Store(Path(place), "decoded pictures", print),
        )
        for whole in (False, True):
            if whole:  # every picture was seen once
                for _ in islice(RandomViews(visits).batches(0), -(-len(pictures) // BATCH)):
                    pass
            stream = RandomViews(visits).batches(0)
            next(stream)
            begun = time.perf_counter()
            for _ in islice(stream, batches if whole else len(pictures) // BATCH - 1):
                pass
            count = batches if whole else len(pictures) // BATCH - 1
            found.append(count * BATCH / (time.perf_counter() - begun))
            stream.close()
    return found[0], found[1]


def main() -> None:
    """Print a row for each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[cores()])
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--batches", type=int, default=60)
    parser.add_argument("--augment", default="light")
    options = parser.parse_args()
    print("cores  fresh  kept   (pictures a second)")
    with tempfile.TemporaryDirectory() as place:
        pictures = draw(Path(place), options.pictures)
        every = sorted(os.sched_getaffinity(0))
        for count in options.threads:
            os.sched_setaffinity(0, every[:count])
            fresh, kept = rates(pictures, options.batches, AugmentConfig(options.augment))
            print(f"{count:5d} {fresh:6.0f} {kept:5.0f}", flush=True)


if __name__ == "__main__":
    main()
