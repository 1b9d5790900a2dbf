"""What is found among drawn scenes: each kind that was planted, and nothing else."""

import io
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from scipy.ndimage import gaussian_filter

from retrain.data.alignment import AT_ONCE, likeness
from retrain.data.candidates import plain
from retrain.data.fingerprints import FINGERPRINT, describe
from retrain.data.images import decode
from retrain.data.records import Picture
from retrain.data.related import find
from retrain.data.relations import Kind, Relation
from scenes import COPIES, as_jpeg, scene


class Collection:
    """Pictures with their fingerprints; features are noise, but where somebody says otherwise."""

    def __init__(self, scenes: int = 0) -> None:
        self.pictures: list[Picture] = []
        self.images: list[Image.Image] = []
        for seed in range(scenes):
            self.add(scene(seed), f"cat/scene{chr(97 + seed % 26)}{chr(97 + seed // 26)}.jpg")

    def add(self, image: Image.Image, name: str = "") -> str:
        name = name or f"cat/{'x' * len(self.images)}.jpg"
        sha256 = f"{len(self.images):064x}"
        category = name.split("/")[0]
        self.pictures.append(Picture(Path(name), name, category, sha256, sha256))
        self.images.append(image)
        return sha256

    def find(self, features: NDArray[np.float32] | None = None) -> list[Relation]:
        records = np.array([describe(image) for image in self.images], FINGERPRINT)
        return find(self.pictures, records, features)

    def kinds(self, features: NDArray[np.float32] | None = None) -> dict[tuple[str, str], Kind]:
        return {one.pair: one.kind for one in self.find(features)}


def test_scenes_that_have_nothing_to_do_with_one_another_are_not_related() -> None:
    assert not Collection(80).find()


@pytest.mark.parametrize("change", COPIES)
def test_copies_are_found(change: str) -> None:
    some = Collection(40)
    pairs = {(f"{seed:064x}", some.add(COPIES[change](scene(seed)))) for seed in range(12)}
    assert some.kinds() == dict.fromkeys(pairs, "copy")


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255)])
def test_copies_of_pictures_that_are_black_or_white_for_the_most_part_are_found(
    ground: tuple[int, int, int],
) -> None:
    some, pairs = Collection(20), set()
    for seed in range(8):
        image = Image.new("RGB", scene(seed).size, ground)
        image.paste(scene(300 + seed).crop((30, 30, 110, 110)), (40 + 2 * seed, 25))
        pairs.add((some.add(image), some.add(as_jpeg(image))))
    assert some.kinds() == dict.fromkeys(pairs, "copy")


def test_many_are_compared_in_portions_and_each_is_told() -> None:
    records = np.array([describe(scene(i)) for i in range(12)], FINGERPRINT)
    rng, told = np.random.default_rng(0), [0]
    first, second = rng.integers(0, 12, (2, AT_ONCE + 40))

    def compared(rows: slice, advance: Callable[[int], None]) -> NDArray[np.float32]:
        pairs = plain(first[rows], second[rows])
        parts = (pairs.first, pairs.second, pairs.mirrored, pairs.start, advance)
        return np.array([*astuple(likeness(records, *parts))])

    every = compared(slice(None), told.append)
    assert sum(told) == len(first)
    assert np.array_equal(every[:, -40:], compared(slice(-40, None), told.append))


def test_mirrored_copies_are_found() -> None:
    some = Collection(40)
    pairs = {(f"{i:064x}", some.add(as_jpeg(ImageOps.mirror(scene(i))))) for i in range(12)}
    assert some.kinds() == dict.fromkeys(pairs, "mirrored copy")


def photograph(sign: Image.Image, rng: np.random.Generator, grain: float = 8) -> Image.Image:
    noise = grain * gaussian_filter(rng.normal(size=(sign.height, sign.width, 1)), (1.5, 1.5, 0))
    return Image.fromarray(np.clip(np.asarray(sign) + noise, 0, 255).astype(np.uint8))


def test_photographs_of_a_thing_that_is_the_same_on_both_sides_are_no_mirrored_copies() -> None:
    some, rng = Collection(20), np.random.default_rng(0)
    half = scene(600).crop((0, 0, 80, 120))
    sign = Image.new("RGB", (160, 120))
    sign.paste(half, (0, 0))
    sign.paste(ImageOps.mirror(half), (80, 0))
    for _ in range(12):
        some.add(photograph(sign, rng))
    assert set(some.kinds().values()) == {"copy"}


def other_colours(image: Image.Image) -> Image.Image:
    y, blue, red = image.convert("YCbCr").split()
    return Image.merge("YCbCr", (y, red, ImageOps.invert(blue))).convert("RGB")


def test_recoloured_copies_are_found() -> None:
    some = Collection(40)
    pairs = {(f"{i:064x}", some.add(as_jpeg(other_colours(scene(i))))) for i in range(12)}
    assert some.kinds() == dict.fromkeys(pairs, "recoloured copy")


def test_photographs_of_one_shape_in_two_colours_are_a_series_and_no_recoloured_copies() -> None:
    some, rng = Collection(20), np.random.default_rng(0)
    red = {some.add(photograph(scene(600), rng, grain=11)) for _ in range(4)}
    for _ in range(4):
        some.add(photograph(other_colours(scene(600)), rng, grain=11))
    for pair, kind in some.kinds().items():
        assert kind == ("series" if len(red & {*pair}) == 1 else "copy")


def test_a_copy_in_another_category_is_found_and_another_photograph_of_the_same_is_none() -> None:
    some, rng = Collection(20), np.random.default_rng(0)
    copy = some.add(as_jpeg(scene(0)), "dog/a.jpg")
    some.add(photograph(scene(600), rng, grain=11))
    some.add(photograph(scene(600), rng, grain=11), "dog/b.jpg")
    assert some.kinds() == {(f"{0:064x}", copy): "copy"}


def test_the_same_pixels_in_another_file_are_found() -> None:
    some = Collection(10)
    twins = [some.add(scene(3)), some.add(scene(3))]
    assert some.kinds() == {(f"{3:064x}", twin): "identical pixels" for twin in twins}


def test_a_file_in_two_places_is_no_pair() -> None:
    some = Collection(5)
    some.pictures.append(some.pictures[0])
    some.images.append(some.images[0])
    assert not some.find()


def test_the_same_things_before_another_ground_are_no_copy() -> None:
    some = Collection(20)
    for seed in range(8):
        front, other = scene(seed), scene(seed + 100)
        other.paste(front.crop((50, 40, 120, 100)), (50, 40))
        some.add(other)
    assert not some.find()


def test_frames_of_a_film_are_a_series_by_their_numbers() -> None:
    some = Collection(30)
    frames = [some.add(scene(500, shift=0.02 * i), f"cat/film-{3 * i:04d}.jpg") for i in range(6)]
    kinds = some.kinds()
    assert {tuple(frames[i : i + 2]) for i in range(5)} <= kinds.keys()
    assert {name for pair in kinds for name in pair} == set(frames)


def test_numbers_alone_make_no_series() -> None:
    some = Collection()
    for seed in range(30):
        some.add(scene(seed), f"cat/{seed}.jpg")
    assert not some.find()


def taken(image: Image.Image, second: int) -> Image.Image:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    details[ExifTags.Base.DateTimeOriginal] = f"2020:01:01 10:00:{second:02d}"
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, quality=92)
    return decode(file.getvalue())


def test_a_burst_is_a_series_by_its_times_also_across_categories() -> None:
    some = Collection(20)
    burst = [
        some.add(taken(scene(701, shift=0.05 * i), 2 * i), f"{category}/{'y' * i}.jpg")
        for i, category in enumerate(("cat", "dog"))
    ]
    for i in range(5):
        some.add(taken(scene(800 + i), 2 * i + 20), f"cat/{'z' * i}.jpg")
    (relation,) = some.find()
    assert relation.pair == tuple(burst)
    assert relation.kind == "series"
    assert "taken 2 s apart" in relation.evidence


def noise(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, 64)).astype(np.float32)


def test_features_find_a_series_where_names_say_nothing() -> None:
    some = Collection(60)
    features = noise(60)
    features[7] = features[3] + 0.2 * noise(61)[-1]
    assert some.kinds(features) == {(f"{3:064x}", f"{7:064x}"): "series"}
    assert not some.kinds(noise(60))


def test_alike_features_in_two_categories_are_no_series() -> None:
    some = Collection(59)
    some.add(scene(59), "dog/a.jpg")
    features = noise(60)
    features[59] = features[3]
    assert not some.find(features)


def test_any_order_gives_the_same_relations() -> None:
    some = Collection(30)
    for i, change in enumerate(COPIES.values()):
        some.add(change(scene(i)))
    features = noise(len(some.images))
    once = some.find(features)
    order = list(range(len(some.images)))
    Random(1).shuffle(order)
    some.pictures = [some.pictures[i] for i in order]
    some.images = [some.images[i] for i in order]
    assert some.find(features[order]) == once


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures_are_no_error(count: int) -> None:
    assert not Collection(count).find()
    assert not Collection(count).find(noise(count))


def test_blank_pictures_are_no_error() -> None:
    some = Collection(3)
    for colour in ("white", "black", "red"):
        some.add(Image.new("RGB", (40, 40), colour))
    assert not some.find(noise(6))
