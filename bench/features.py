"""Measure the features pass: TensorFlow against LiteRT, conversion included.

    python bench/features.py [--backbone efficientnet_lite0] [--pictures 500 5000] [--rounds 3]

Whole processes, which build the backbone, and put drawn pictures through it into an empty cache.
They alternate; medians. At the end: the largest difference between the two, relative.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from processes import in_turn, print_table
from scale import draw_all


def compute(backbone_name: str, data: Path, count: int, litert: bool, to: Path) -> None:
    """Fill an empty cache with the features of the first pictures; `to` gets some of them."""
    from retrain import features
    from retrain.data.check import check
    from retrain.data.images import PixelRules
    from retrain.data.sources import open_data
    from retrain.model.backbones import backbone_named, input_size
    from retrain.model.build import build_backbone
    from retrain.model.predict import Forward
    from retrain.model.weights import obtain
    from retrain.progress import Silent

    backbone = backbone_named(backbone_name)
    rules = PixelRules(input_size(backbone, None), "squash")
    pictures = check(open_data(data), rules)[0][:count]
    network = build_backbone(backbone, rules.size, obtain(backbone, "imagenet", print))
    features.pays_to_convert = lambda *_: litert
    with tempfile.TemporaryDirectory() as cache:
        found = features.bottlenecks(
            pictures, network, Forward(network, constant=True), rules, Path(cache), Silent()
        )
    np.save(to, found[:100])


def main() -> None:
    """Read the command line; a contestant's process is told so by --child."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--pictures", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=("TensorFlow", "LiteRT"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if args.child:
        to = args.folder / f"{args.child}.npy"
        litert = args.child == "LiteRT"
        compute(args.backbone, args.folder / "data", args.pictures[0], litert, to)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw_all(folder / "data", max(args.pictures))
        for count in args.pictures:
            line = [sys.executable, __file__, "--backbone", args.backbone, "--folder", name]
            line += ["--pictures", str(count), "--child"]
            commands = {child: [*line, child] for child in ("LiteRT", "TensorFlow")}
            print(f"{count} pictures")
            print_table(in_turn(commands, args.rounds), count)
        one, other = (np.load(folder / f"{child}.npy") for child in commands)
        print(f"largest difference: {np.abs(one - other).max() / np.abs(other).max():.1e}")


if __name__ == "__main__":
    main()
