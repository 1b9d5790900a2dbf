"""How usual a picture is, in numbers alone."""

from pathlib import Path

import numpy as np
import pytest

from retrain.errors import BundleError
from retrain.infer.familiar import (
    MOST,
    MOST_PER_CATEGORY,
    Array,
    Reference,
    distances,
    read_reference,
    reference_rows,
)

RANDOM = np.random.default_rng(0)


def cloud(centre: Array, count: int) -> Array:
    return (centre + RANDOM.normal(0, 0.3, (count, len(centre)))).astype(np.float32)


def made(pictures: int) -> tuple[Reference, Array, Array]:
    """Return a reference, the centre of what it knows, and that of strangers."""
    own, strange = RANDOM.normal(0, 1, (2, 32)).astype(np.float32)
    known = cloud(own, pictures)
    numbers = np.arange(pictures)
    return Reference(known, np.sort(distances(known, known, (numbers, numbers)))), own, strange


def test_pictures_of_its_kind_are_as_usual_as_those_it_knows() -> None:
    reference, own, _ = made(500)
    found = reference.familiar(cloud(own, 2000))
    for share in (0.1, 0.5, 0.9):
        assert np.mean(found <= share) == pytest.approx(share, abs=0.06)
    assert np.mean(found < reference.limit) <= 0.05


def test_strangers_are_not_familiar() -> None:
    reference, _, strange = made(500)
    found = reference.familiar(cloud(strange, 200))
    assert (found < reference.limit).all()
    assert found.min() == pytest.approx(1 / 501, abs=1e-5)


@pytest.mark.parametrize(
    ("pictures", "limit"), [(1, 0), (18, 0), (20, 0.05), (62, 2.5 / 63), (124, 0.02), (400, 0.02)]
)
def test_a_twentieth_at_most_is_strange_and_of_very_few_pictures_none(
    pictures: int, limit: float
) -> None:
    reference = Reference(
        RANDOM.random((3, 4), np.float32), np.linspace(0, 1, pictures, dtype=np.float32)
    )
    assert reference.limit == pytest.approx(limit)
    assert np.mean(np.arange(1, pictures + 2) / (pictures + 1) < reference.limit) <= 0.05


def test_relatives_say_nothing_of_strangers() -> None:
    known = RANDOM.random((6, 8), np.float32)
    pairs = np.repeat(known, 2, axis=0)
    groups = np.arange(12) // 2
    alone = distances(pairs, pairs, (groups, groups))
    assert (alone > distances(pairs, pairs)).all()
    everything = np.zeros(12, int)
    assert (distances(pairs, pairs, (everything, everything)) == 2).all()


def test_the_length_of_features_does_not_matter() -> None:
    known, new = RANDOM.random((50, 16), np.float32), RANDOM.random((5, 16), np.float32)
    assert distances(3 * new, known) == pytest.approx(distances(new, known), abs=1e-5)
    assert np.isfinite(distances(np.zeros((1, 16), np.float32), known)).all()


def test_many_pictures_are_compared_in_blocks() -> None:
    known, new = RANDOM.random((40, 8), np.float32), RANDOM.random((2500, 8), np.float32)
    groups = RANDOM.integers(0, 9, 2500), RANDOM.integers(0, 9, 40)
    found = distances(new, known, groups)
    one_by_one = [
        distances(new[i : i + 1], known, (groups[0][i : i + 1], groups[1])) for i in (0, 1023, 2499)
    ]
    assert found[[0, 1023, 2499]] == pytest.approx(np.concatenate(one_by_one), abs=1e-6)


def test_a_reference_keeps_as_many_of_each_category() -> None:
    labels = np.repeat([0, 1, 2], [500, 60, 1])
    RANDOM.shuffle(labels)
    assert np.bincount(labels[reference_rows(labels)]).tolist() == [MOST_PER_CATEGORY, 60, 1]
    many = np.repeat(np.arange(1000), 30)
    assert np.bincount(many[reference_rows(many)]).tolist() == [MOST // 1000] * 1000
    most = np.repeat(np.arange(3 * MOST), 2)
    assert len(reference_rows(most)) == 3 * MOST


def test_a_reference_is_read_as_it_was_written(tmp_path: Path) -> None:
    reference, own, _ = made(60)
    reference.write(tmp_path / "reference.npz")
    again = read_reference(tmp_path / "reference.npz")
    assert again is not None
    new = cloud(own, 30)
    assert again.familiar(new) == pytest.approx(reference.familiar(new), abs=0.05)
    assert (tmp_path / "reference.npz").stat().st_size < 60 * 32 * 2 + 60 * 4 + 1000
    assert read_reference(tmp_path / "none.npz") is None
    (tmp_path / "reference.npz").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(BundleError, match="Train again"):
        read_reference(tmp_path / "reference.npz")
