"""The sets of pictures that `bench/trust.py` measures on: features, categories and groups."""

import csv
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.training.examples import Examples

SETS = ("superheroes", "pets3", "traffic_lights", "sign_digits", "road_signs")


@dataclass(frozen=True)
class Set:
    """Pictures with features [n, d]; groups: what belongs together by content, track or person."""

    names: NDArray[np.str_]
    categories: NDArray[np.str_]
    groups: NDArray[np.str_]
    features: NDArray[np.float32]

    def __getitem__(self, rows: NDArray[Any]) -> "Set":
        return Set(self.names[rows], self.categories[rows], self.groups[rows], self.features[rows])

    def labels(self) -> NDArray[np.int64]:
        """Return the index of each picture's category among those that occur."""
        return np.unique(self.categories, return_inverse=True)[1].astype(np.int64)

    def where(self, start: str) -> "Set":
        """Return the pictures whose names start so."""
        return self[np.char.startswith(self.names, start)]

    def alone(self) -> "Set":
        """Return the same as if nobody knew what belongs together."""
        return Set(self.names, self.categories, self.names, self.features)

    def examples(self) -> Examples:
        """Return what heads learn from."""
        return Examples(self.features, self.labels(), self.groups.tolist())


def read_set(name: str, data: Path, work: Path) -> Set:
    """Return a set, its features computed where WORK lacks them."""
    cache = work / "features" / f"{name}.npz"
    if not cache.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        part = cache.with_suffix(".part.npz")
        np.savez(part, allow_pickle=False, **_computed(data / name))
        part.rename(cache)
    with np.load(cache) as found:
        return Set(found["names"], found["labels"], found["groups"], found["features"])


def _computed(root: Path) -> dict[str, NDArray[Any]]:
    from retrain.data.images import BadPicture, read_bytes, read_pixels
    from retrain.data.stream import pixel_batches

    forward, rules = backbone()
    given, digests = _given_labels(root), {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        try:
            content = read_bytes(path)
            read_pixels(content, rules)
            digests[path] = hashlib.sha256(content).hexdigest()
        except BadPicture:
            continue
    blocks = [forward(pixels) for pixels in pixel_batches(list(digests), rules, 32)]
    names = [path.relative_to(root).as_posix() for path in digests]
    return {
        "names": np.array(names),
        "labels": np.array([given.get(n, n.split("/")[-2]) for n in names]),
        "groups": np.array(groups_of(root.name, names, list(digests.values()))),
        "features": np.concatenate(blocks).astype(np.float32),
    }


def backbone() -> tuple[Callable[[Any], Any], Any]:
    """Return EfficientNet-Lite0 with ImageNet weights, and how it wants pictures."""
    from retrain.data.images import PixelRules
    from retrain.model.backbones import backbone_named
    from retrain.model.build import build_backbone
    from retrain.model.predict import Forward
    from retrain.model.weights import obtain

    found = backbone_named("efficientnet_lite0")
    weights = obtain(found, "imagenet", lambda _: None)
    network = build_backbone(found, found.size, weights)
    return Forward(network, constant=True), PixelRules(found.size, "squash")


def recoloured(name: str, every: Set, data: Path, work: Path) -> Set:
    """Return the same pictures without colour."""
    from retrain.data.images import read_bytes, read_pixels

    cache = work / "features" / f"{name}-grey-{len(every.names)}.npy"
    if not cache.exists():
        forward, rules = backbone()
        rows = []
        for picture in every.names.tolist():
            pixels = read_pixels(read_bytes(data / name / picture), rules).astype(np.float32)
            grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
            grey = np.repeat(np.rint(grey)[..., None], 3, axis=-1).astype(np.uint8)
            rows.append(forward(grey[None])[0])
        np.save(cache, np.stack(rows).astype(np.float32))
    return Set(every.names, every.categories, every.groups, np.load(cache))


def _given_labels(root: Path) -> dict[str, str]:
    table = root / "test_labels.csv"
    if not table.exists():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        return {f"test_data/{row['file']}": row["category"] for row in csv.DictReader(file)}


def groups_of(name: str, names: Sequence[str], digests: Sequence[str]) -> list[str]:
    """Return the group of each picture: its track or person, else its content."""
    if name == "road_signs":
        return [n.rsplit("_", 1)[0] if n.startswith("train/") else n for n in names]
    if name != "sign_digits":
        return list(digests)
    persons, person, last = {}, 0, ""
    for picture in sorted(names, key=lambda n: int(re.sub(r"\D", "", n.split("/")[-1]))):
        digit = picture.split("/")[0]
        person += digit <= last  # each person shows the signs in rising order
        persons[picture], last = f"person {person}", digit
    return [persons[picture] for picture in names]


def drawn(every: Set, pictures: int, seed: int) -> tuple[Set, Set]:
    """Return whole groups of about so many pictures, and all others of the same categories."""
    names = np.unique(every.groups)
    np.random.default_rng(seed).shuffle(names)
    sizes = {g: int(c) for g, c in zip(*np.unique(every.groups, return_counts=True), strict=True)}
    until = int(np.searchsorted(np.cumsum([sizes[g] for g in names]), pictures)) + 1
    chosen = np.isin(every.groups, names[:until])
    known = np.isin(every.categories, np.unique(every.categories[chosen]))
    return every[chosen], every[~chosen & known]
