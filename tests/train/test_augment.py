"""Random views."""

from hypothesis import given
from hypothesis import strategies as st

from retrain.config import FineTuneConfig
from retrain.train.augment import random_view

CONFIG = FineTuneConfig()
SHA = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")


@given(st.integers(0, 2**31), st.integers(0, 100), SHA)
def test_a_view_lies_in_the_picture_and_keeps_enough_of_it(seed: int, epoch: int, sha: str) -> None:
    left, upper, right, lower = random_view(seed, epoch, sha, CONFIG).box
    assert 0 <= left < right <= 1 + 1e-9
    assert 0 <= upper < lower <= 1 + 1e-9
    assert (right - left) * (lower - upper) > 0.4 * CONFIG.crop_area


def test_a_view_depends_on_seed_epoch_and_picture_alone() -> None:
    view = random_view(0, 1, "ab" * 32, CONFIG)
    assert view == random_view(0, 1, "ab" * 32, CONFIG)
    others = {random_view(1, 1, "ab" * 32, CONFIG).box, random_view(0, 2, "ab" * 32, CONFIG).box}
    assert view.box not in others
    assert view.box != random_view(0, 1, "cd" * 32, CONFIG).box


def test_pictures_are_mirrored_half_of_the_time_unless_that_is_off() -> None:
    flips = [random_view(0, 1, f"{i:064x}"[::-1], CONFIG).flip for i in range(400)]
    assert 150 < sum(flips) < 250
    still = FineTuneConfig(flip=False)
    assert not any(random_view(0, 1, f"{i:064x}"[::-1], still).flip for i in range(50))
