"""Who is shown when: visits, their order, and batches that depend on their number alone."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from disks import disk
from pictures import write_jpegs
from retrain.config import AugmentConfig
from retrain.data.images import PixelRules, Pixels
from retrain.data.records import Picture
from retrain.training.cut_views import CutViews
from retrain.training.pipeline import RandomViews, Sampler, Visits, spread_order
from retrain.training.store import Store

EACH, BATCH = 7, 4


def visits(folder: Path, **augment: object) -> Visits:
    paths = [*write_jpegs(folder, "disc", EACH), *write_jpegs(folder, "stripes", EACH)]
    pictures = []
    for path in paths:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        pictures.append(Picture(path, path.name, path.parent.name, digest, digest))
    labels = np.repeat([0, 1], EACH)
    how = AugmentConfig(**augment)  # type: ignore[arg-type]
    sources = Store(folder, "pictures", print)
    return Visits(pictures, labels, 2, PixelRules(32, "squash"), BATCH, how, 3, sources)


def some(sampler: Sampler, start: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    batches = sampler.batches(start)
    found = list(itertools.islice(batches, count))
    batches.close()
    return found


def below(pixels: Pixels) -> np.ndarray:
    """Return what stands for frozen layers: every fourth pixel, brought to 0..1."""
    return pixels[:, ::4, ::4].astype(np.float32) / 255


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(0, 99))
def test_any_part_of_a_pass_has_the_categories_in_proportion(labels: list[int], seed: int) -> None:
    order = spread_order(np.array(labels), np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    for label in set(labels):
        total, seen = labels.count(label), 0
        for place, index in enumerate(order, start=1):
            seen += labels[index] == label
            # One more or less for each category, since each begins somewhere in its first turn.
            assert abs(seen - total * place / len(labels)) <= 1 + len(set(labels)) / 2


def test_a_pass_shows_each_picture_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    those = visits(tmp_path)
    passes = [[those.who(2 * EACH * turn + i) for i in range(2 * EACH)] for turn in range(2)]
    for number, row in enumerate(passes):
        assert sorted(index for index, _ in row) == list(range(2 * EACH))
        assert {turn for _, turn in row} == {number}
    assert [i for i, _ in passes[0]] != [i for i, _ in passes[1]]


@pytest.mark.parametrize("strength", ["light", "strong"])
@pytest.mark.parametrize("stored", [False, True])
def test_a_batch_is_the_same_wherever_the_iteration_began(
    stored: bool, strength: str, tmp_path: Path
) -> None:
    those = visits(tmp_path, strength=strength)

    def sampler() -> Sampler:
        if not stored:
            return RandomViews(those)
        return CutViews(those, 2, below, Store(tmp_path, "activations", print))

    whole, later = some(sampler(), 0, 12), some(sampler(), 5, 7)
    for (inputs, targets), (again, wanted) in zip(whole[5:], later, strict=True):
        assert len(inputs) == BATCH  # the last of a pass is no smaller
        np.testing.assert_array_equal(inputs, again)
        np.testing.assert_array_equal(targets, wanted)
        np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_stored_views_are_those_of_the_same_seed_and_are_made_once(tmp_path: Path) -> None:
    those = visits(tmp_path)
    made: list[int] = []

    def counted(pixels: Pixels) -> np.ndarray:
        made.append(len(pixels))
        return below(pixels)

    views = 2
    steps = 2 * views * 2 * EACH // BATCH  # each view twice
    stored = some(CutViews(those, views, counted, Store(tmp_path, "activations", print)), 0, steps)
    assert sum(made) == views * 2 * EACH
    plain = some(RandomViews(those), 0, views * 2 * EACH // BATCH)
    for (inputs, targets), (pixels, wanted) in zip(stored, plain, strict=False):
        np.testing.assert_allclose(inputs, below(pixels), atol=1e-3)
        np.testing.assert_array_equal(targets, wanted)


def test_a_large_picture_is_decoded_once(tmp_path: Path) -> None:
    those = visits(tmp_path)
    large, small = those.pictures[3].path, those.pictures[4].path
    Image.open(large).resize((800, 600)).save(large)
    Image.open(small).resize((48, 44)).save(small)
    first = those.view(3, 0)
    assert those.pictures[3].sha256 in those.sources
    large.write_bytes(b"")  # it is not read again
    np.testing.assert_array_equal(those.view(3, 0), first)
    assert not np.array_equal(those.view(3, 1), first)
    those.view(4, 0)
    assert (
        those.pictures[4].sha256 not in those.sources
    )  # small ones are decoded faster than they would be kept


def test_nothing_is_left_of_a_store(tmp_path: Path) -> None:
    store = Store(tmp_path, "activations", print)
    store.keep(7, np.ones(2, np.float16))
    assert 7 in store
    assert 6 not in store
    np.testing.assert_array_equal(store.read(7), [1, 1])
    assert not list(tmp_path.iterdir())


def test_on_a_full_disk_views_are_made_again_and_that_is_said(tmp_path: Path) -> None:
    those = visits(tmp_path)
    said: list[str] = []

    def wide(pixels: Pixels) -> np.ndarray:
        return np.repeat(below(pixels), 40, axis=3)

    with disk(tmp_path / "small", "size=64k") as small:
        store = Store(small, "activations", said.append)
        full = some(CutViews(those, 2, wide, store), 0, 20)
    assert len(said) == 1
    assert "No space left" in said[0]
    roomy = some(CutViews(those, 2, wide, Store(tmp_path, "activations", said.append)), 0, 20)
    for (inputs, targets), (others, wanted) in zip(full, roomy, strict=True):
        np.testing.assert_array_equal(inputs, others)
        np.testing.assert_array_equal(targets, wanted)
    assert len(said) == 1
