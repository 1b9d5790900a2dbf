"""Measure how well related pictures are found: planted copies, shuffled film frames, speed.

    python bench/related.py copies WORK --data FOLDER [--each 200] [--only SET...] [--no-features]
    python bench/related.py series WORK --data FOLDER [--no-features]
    python bench/related.py scale [--pictures 100000]

FOLDER holds superheroes/, pets3/, traffic_lights/, sign_digits/ and road_signs/ as they were
published; WORK keeps features (EfficientNet-Lite0) and takes contact sheets.

copies  Each set is searched as one collection. Of all sets together, 200 originals a kind of
        change are drawn, none twice; their copies, JPEGs, are planted in the set of the original
        and under its category. Found: a relation of any copying kind between the two; "large":
        originals of at least 64 pixels. Then the originals alone: pairs by kind, all of them on
        contact sheets, to be judged by eye.
series  The frames of road_signs/train under random names. Found pairs are true if both frames are
        of one track, which is the part of the name before "_". Accuracy is that of a logistic
        regression cross-fitted by scikit-learn (C = 0.01, standardised features, five folds, which
        keep sets together), with single pictures, found sets and tracks as sets.
scale   Made-up fingerprints and features; seconds by stage and peak memory.
"""

import argparse
import io
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from scipy.ndimage import gaussian_filter

from retrain.data.fingerprints import FINGERPRINT, GREY, NO_TIME, Fingerprints, describe
from retrain.data.groups import join
from retrain.data.images import BadPicture, PixelRules, decode, fit_pixels, read_bytes
from retrain.data.records import Picture
from retrain.data.related import find
from retrain.data.relations import COPIES, KINDS, Relation

SETS = ("pets3", "superheroes", "traffic_lights", "road_signs", "sign_digits")
RULES = PixelRules(224, "squash")
ENOUGH = 2 * RULES.size
LARGE = 64  # pixels: shorter side from which an original has detail to be known by
CELL, COLUMNS, ROWS = 110, 6, 10  # of a contact sheet, in pixels and pairs

Features = NDArray[np.float32]


@dataclass(frozen=True)
class Collection:
    """Pictures with fingerprints [n] and features [n, d], or None."""

    pictures: Sequence[Picture]
    records: Fingerprints
    features: Features | None

    def relations(self) -> list[Relation]:
        """Search it."""
        return find(self.pictures, self.records, self.features)


# --- changes


def as_jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Return a JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the picture without a twentieth of its width and height, at random sides."""
    width, height = image.size
    off = max(1, round(0.05 * width)), max(1, round(0.05 * height))
    left, upper = (int(rng.integers(0, most + 1)) for most in off)
    return image.crop((left, upper, width - off[0] + left, height - off[1] + upper))


def bordered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the picture with a white, black or coloured border of a twentieth."""
    colours = [(255, 255, 255), (0, 0, 0), tuple(rng.integers(0, 256, 3).tolist())]
    width = max(1, round(0.05 * max(image.size)))
    return ImageOps.expand(image, width, colours[int(rng.integers(3))])


def halved(image: Image.Image) -> Image.Image:
    """Return the picture at half its width and height."""
    size = max(1, image.width // 2), max(1, image.height // 2)
    return image.resize(size, Image.Resampling.BILINEAR)


Change = Callable[[Image.Image, np.random.Generator], bytes]
CHANGES: dict[str, Change] = {
    "quality 60": lambda image, _: as_jpeg(image, 60),
    "halved": lambda image, _: as_jpeg(halved(image)),
    "cropped by 5 %": lambda image, rng: as_jpeg(cropped(image, rng)),
    "mirrored": lambda image, _: as_jpeg(ImageOps.mirror(image)),
    "brightened by 30 %": lambda image, _: as_jpeg(ImageEnhance.Brightness(image).enhance(1.3)),
    "bordered": lambda image, rng: as_jpeg(bordered(image, rng)),
    "without colour": lambda image, _: as_jpeg(image.convert("L").convert("RGB")),
}


# --- sets


def read_set(name: str, data: Path) -> tuple[list[Picture], Fingerprints]:
    """Return a set's pictures and fingerprints; one row a content."""
    import hashlib

    pictures, records, seen = [], [], set()
    for path in sorted(p for p in (data / name).rglob("*") if p.is_file()):
        try:
            content = read_bytes(path)
            image = decode(content, ENOUGH)
        except BadPicture:
            continue
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 not in seen:
            seen.add(sha256)
            place = path.relative_to(data / name).as_posix()
            pictures.append(Picture(path, place, path.parent.name, sha256, sha256))
            records.append(describe(image))
    return pictures, np.array(records, FINGERPRINT)


class Backbone:
    """EfficientNet-Lite0, built when it is first needed."""

    def __init__(self) -> None:
        self._forward: Any = None

    def features(self, images: Sequence[Image.Image]) -> Features:
        """Return float32 [n, 1280]."""
        if self._forward is None:
            from retrain.model.backbones import backbone_named
            from retrain.model.build import build_backbone
            from retrain.model.predict import Forward
            from retrain.model.weights import obtain

            backbone = backbone_named("efficientnet_lite0")
            weights = obtain(backbone, "imagenet", lambda _: None)
            network = build_backbone(backbone, RULES.size, weights)
            self._forward = Forward(network, constant=True)
        blocks = [images[start : start + 32] for start in range(0, len(images), 32)]
        found = [self._forward(np.stack([fit_pixels(i, RULES) for i in b])) for b in blocks]
        return np.concatenate(found).astype(np.float32)

    def of_set(self, name: str, pictures: Sequence[Picture], work: Path) -> Features:
        """Return a set's features, from WORK where they are there."""
        cache = work / f"{name}.npz"
        if not cache.exists():
            images = [decode(read_bytes(picture.path), ENOUGH) for picture in pictures]
            names = np.array([picture.name for picture in pictures])
            np.savez(cache, names=names, features=self.features(images))
        with np.load(cache) as found:
            rows = {str(name): row for row, name in enumerate(found["names"])}
            return np.asarray(found["features"][[rows[picture.name] for picture in pictures]])


# --- copies


def run_copies(args: argparse.Namespace) -> None:
    """Plant copies, search, and print what was found; then search the originals alone."""
    backbone, rng = Backbone(), np.random.default_rng(args.seed)
    sets = {name: read_set(name, args.data) for name in args.only or SETS}
    every = [(name, row) for name, (pictures, _) in sets.items() for row in range(len(pictures))]
    rng.shuffle(every)
    each = min(args.each, len(every) // len(CHANGES))
    hits: Counter[tuple[str, str]] = Counter()
    for name, (pictures, records) in sets.items():
        features = None if args.no_features else backbone.of_set(name, pictures, args.work)
        originals = Collection(pictures, records, features)
        planted = [
            (change, int(row))
            for place, change in enumerate(CHANGES)
            for home, row in every[place * each : (place + 1) * each]
            if home == name
        ]
        search_planted(originals, planted, backbone, rng, hits)
        report_originals(name, originals, args.work)
    print(f"\n{'change':<22}{'planted':>8}{'recall':>8}{'large':>8}{'recall':>8}")
    for change in CHANGES:
        share, those = hits[change, "found"] / each, hits[change, "large"]
        print(f"{change:<22}{each:8}{share:8.3f}", end="")
        print(f"{those:8}{hits[change, 'large, found'] / max(1, those):8.3f}")


def search_planted(
    originals: Collection,
    planted: Sequence[tuple[str, int]],
    backbone: Backbone,
    rng: np.random.Generator,
    hits: Counter[tuple[str, str]],
) -> None:
    """Count the copies that are found in one set, and those whose originals are large."""
    copies, images = [], []
    for number, (change, row) in enumerate(planted):
        original = originals.pictures[row]
        content = CHANGES[change](decode(read_bytes(original.path)), rng)
        name = f"{original.category}/planted-{rng.integers(1 << 62):x}.jpg"
        sha256 = f"{number:064x}"
        copies.append(replace(original, name=name, sha256=sha256, key=sha256))
        images.append(decode(content, ENOUGH))
    if not copies:
        return
    features = originals.features
    if features is not None:
        features = np.concatenate([features, backbone.features(images)])
    records = np.array([describe(image) for image in images], FINGERPRINT)
    records = np.concatenate([originals.records, records])
    found = Collection([*originals.pictures, *copies], records, features).relations()
    kinds = {relation.pair: relation.kind for relation in found}
    for (change, row), copy in zip(planted, copies, strict=True):
        pair = sorted((originals.pictures[row].sha256, copy.sha256))
        right = kinds.get((pair[0], pair[1])) in COPIES
        sides = originals.records[["width", "height"]][row]
        large = min(sides.tolist()) >= LARGE
        hits[change, "found"] += right
        hits[change, "large"] += large
        hits[change, "large, found"] += right and large


def report_originals(name: str, originals: Collection, work: Path) -> None:
    """Print how many relations the originals have, and draw them all."""
    found = originals.relations()
    joined = join(originals.pictures, found)
    counts = Counter(relation.kind for relation in found)
    sizes = Counter(joined.sets[picture.key] for picture in originals.pictures)
    print(
        f"{name}: {len(originals.pictures)} pictures, {dict(counts)}, {len(sizes)} sets, largest "
        f"{max(sizes.values())}, {len(joined.apart)} apart, {len(joined.across)} across categories"
    )
    paths = {picture.sha256: picture for picture in originals.pictures}
    for kind in KINDS:
        some = sorted((r for r in found if r.kind == kind), key=lambda r: r.likeness)
        for start in range(0, len(some), COLUMNS * ROWS):
            sheet = contact_sheet(some[start : start + COLUMNS * ROWS], paths)
            sheet.save(work / f"{name}-{kind.replace(' ', '-')}-{start:05d}.png")


def contact_sheet(relations: Sequence[Relation], pictures: dict[str, Picture]) -> Image.Image:
    """Draw pairs side by side with their likeness; those across categories are marked."""
    width, height = 2 * CELL + 8, CELL + 14
    rows = -(-len(relations) // COLUMNS)
    sheet = Image.new("RGB", (width * COLUMNS, height * rows), "white")
    pen = ImageDraw.Draw(sheet)
    for place, relation in enumerate(relations):
        x, y = place % COLUMNS * width, place // COLUMNS * height
        pair = [pictures[sha256] for sha256 in relation.pair]
        for side, picture in enumerate(pair):
            image = ImageOps.contain(decode(read_bytes(picture.path), 2 * CELL), (CELL, CELL))
            sheet.paste(image, (x + side * CELL, y + 13))
        mark = "!" if pair[0].category != pair[1].category else ""
        pen.text(
            (x + 2, y), f"{mark}{relation.likeness:.2f} {relation.evidence}"[:38], fill="black"
        )
    return sheet


# --- series


def run_series(args: argparse.Namespace) -> None:
    """Search film frames whose names say nothing."""
    pictures, records = read_set("road_signs", args.data)
    rows = [row for row, picture in enumerate(pictures) if picture.name.startswith("train/")]
    features = Backbone().of_set("road_signs", pictures, args.work)[rows]
    tracks = [pictures[row].name.rsplit("_", 1)[0] for row in rows]
    rng = np.random.default_rng(args.seed)
    shuffled = [
        replace(pictures[row], name=f"{pictures[row].category}/{rng.integers(1 << 62):x}.ppm")
        for row in rows
    ]
    found = find(shuffled, records[rows], None if args.no_features else features)
    track = {picture.sha256: name for picture, name in zip(shuffled, tracks, strict=True)}
    for kind in KINDS:
        pairs = [relation for relation in found if relation.kind == kind]
        false = sum(track[relation.first] != track[relation.second] for relation in pairs)
        print(f"{kind:<18}{len(pairs):6} pairs, {false} of them of two tracks")
    joined = join(shuffled, found)
    sets = [joined.sets[picture.key] for picture in shuffled]
    sizes = Counter(sets)
    print(f"{len(sizes)} sets of {len(rows)} frames, largest {max(sizes.values())}; 260 tracks")
    categories = [picture.category for picture in shuffled]
    for what, groups in (
        ("single pictures", list(track)),
        ("found sets", sets),
        ("tracks", tracks),
    ):
        scores = [cross_fitted(features, categories, groups, seed) for seed in range(3)]
        print(f"{what:<18}cross-fitted accuracy {np.mean(scores):.4f} ({np.ptp(scores):.4f} apart)")


def cross_fitted(
    features: Features, categories: Sequence[str], groups: Sequence[str], seed: int
) -> float:
    """Return the accuracy of heads on pictures of sets that they had not seen."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    scores = cross_val_score(head, features, categories, groups=groups, cv=folds)
    return float(np.mean(scores))


# --- scale


def made_up(count: int) -> tuple[list[Picture], Fingerprints, Features]:
    """Return pictures of smooth noise, every tenth a noisy copy of the one before."""
    rng = np.random.default_rng(0)
    records = np.zeros(count, FINGERPRINT)
    features = np.empty((count, 1280), np.float32)
    mixing = rng.normal(size=(200, 1280)).astype(np.float32)
    for start in range(0, count, 1000):
        rows = slice(start, min(count, start + 1000))
        size = rows.stop - start
        noise = rng.normal(size=(size, GREY, GREY)).astype(np.float32)
        smooth = np.zeros_like(noise)
        for blur in (1, 3, 9):
            smooth += 60 * blur * gaussian_filter(noise, (0, blur, blur))
        inner = rng.normal(size=(size, 200)).astype(np.float32)
        smooth[1::10] = smooth[0 : size - 1 : 10] + rng.normal(size=smooth[1::10].shape) * 3
        inner[1::10] = inner[0 : size - 1 : 10]
        records["grey"][rows] = np.clip(128 + smooth, 0, 255)
        features[rows] = np.maximum(inner @ mixing, 0)
    records["digest"] = np.arange(count, dtype="<u8").repeat(2).view("V16")
    records["width"] = records["height"] = 400
    records["taken"] = NO_TIME
    pictures = [
        Picture(
            Path(f"{i}"),
            f"{i % 20}/{rng.integers(1 << 62):x}.jpg",
            str(i % 20),
            f"{i:064x}",
            f"{i:064x}",
        )
        for i in range(count)
    ]
    return pictures, records, features


def run_scale(args: argparse.Namespace) -> None:
    """Time a search of made-up pictures."""
    pictures, records, features = made_up(args.pictures)
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    start, used = time.perf_counter(), time.process_time()
    found = find(pictures, records, features)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    start = time.perf_counter()
    joined = join(pictures, found)
    joining = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    line = {
        "pictures": args.pictures,
        "relations": dict(Counter(relation.kind for relation in found)),
        "expected": args.pictures // 10,
        "sets": len(set(joined.sets.values())),
        "seconds": round(seconds, 1),
        "CPU seconds": round(used, 1),
        "seconds of joining": round(joining, 1),
        "MB before": round(before / 1e6),
        "MB at peak": round(peak / 1e6),
    }
    print(json.dumps(line))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    for name, run in (("copies", run_copies), ("series", run_series)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("work", type=Path, metavar="WORK")
        command.add_argument("--data", type=Path, required=True, metavar="FOLDER")
        command.add_argument("--no-features", action="store_true", help="search by pixels alone")
        command.add_argument("--seed", type=int, default=0)
        if name == "copies":
            command.add_argument(
                "--each", type=int, default=200, help="copies a kind (default 200)"
            )
            command.add_argument("--only", nargs="+", choices=SETS, default=(), metavar="SET")
    command = commands.add_parser("scale")
    command.set_defaults(run=run_scale)
    command.add_argument("--pictures", type=int, default=100_000, help="default 100000")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
