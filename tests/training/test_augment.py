"""Random views."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pictures import encoded
from retrain.config import Augment, AugmentConfig
from retrain.data.images import PixelRules, Pixels, read_pixels
from retrain.training.augment import (
    STRENGTHS,
    Strength,
    mixed,
    random_box,
    random_corners,
    random_view,
    source_of_views,
    strength,
)

RULES = PixelRules(48, "squash")
SHA = "ab" * 32


def scene() -> Image.Image:
    """A dark half with a bright left upper corner: no symmetry."""
    image = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    image.paste((250, 30, 30), (0, 0, 30, 20))
    return image


CONTENT = encoded(scene(), "PNG")
PLAIN = read_pixels(CONTENT, RULES)


def view(how: Strength, seed: int = 0, epoch: int = 1, sha: str = SHA) -> Pixels:
    return random_view(scene(), RULES, how, seed, epoch, sha)


def other_shas(count: int) -> list[str]:
    return [f"{i:016x}" + "0" * 48 for i in range(count)]


@given(st.integers(0, 2**31), st.floats(0.05, 1.0))
def test_a_crop_lies_in_the_picture_and_keeps_enough_of_it(seed: int, smallest: float) -> None:
    left, upper, right, lower = random_box(np.random.default_rng(seed), smallest)
    assert 0 <= left < right <= 1 + 1e-9
    assert 0 <= upper < lower <= 1 + 1e-9
    assert (right - left) * (lower - upper) > 0.75 * smallest


@pytest.mark.parametrize("name", STRENGTHS)
def test_a_view_depends_on_seed_epoch_and_picture_alone(name: Augment) -> None:
    how = STRENGTHS[name]
    first = view(how)
    assert first.shape == (48, 48, 3)
    assert first.dtype == np.uint8
    assert first.flags.c_contiguous
    assert np.array_equal(first, view(how))
    for other in (view(how, seed=1), view(how, epoch=2), view(how, sha="cd" * 32)):
        assert np.array_equal(first, other) == (name == "none")


def test_no_augmentation_is_what_guesses_see() -> None:
    assert np.array_equal(view(STRENGTHS["none"]), PLAIN)


def test_views_of_large_pictures_are_made_of_smaller_ones() -> None:
    light = STRENGTHS["light"]
    large = scene().resize((960, 640))
    source = source_of_views(large, RULES, light)
    assert source.size == (93, 62)
    for small in (scene(), source):
        assert source_of_views(small, RULES, light) is small
    assert source_of_views(large, RULES, STRENGTHS["none"]) is large
    of_large, of_small = (random_view(i, RULES, light, 0, 1, SHA) for i in (large, source))
    assert np.abs(of_large.astype(int) - of_small).mean() < 3


def test_pictures_are_mirrored_half_of_the_time_unless_that_is_off() -> None:
    flipping = Strength(flip=0.5)
    flipped = 0
    for sha in other_shas(200):
        seen = view(flipping, sha=sha)
        mirrored = np.array_equal(seen, PLAIN[:, ::-1])
        assert mirrored or np.array_equal(seen, PLAIN)
        flipped += mirrored
    assert 70 < flipped < 130
    still = replace(strength(AugmentConfig("light", flip=False)), crop_area=1.0)
    assert all(np.array_equal(view(still, sha=sha), PLAIN) for sha in other_shas(20))


@pytest.mark.parametrize("kind", [entry.name for entry in fields(Strength)])
def test_each_switch_leaves_out_its_own_kind_alone(kind: str) -> None:
    switch = "crop" if kind == "crop_area" else kind
    full, without = STRENGTHS["strong"], strength(AugmentConfig("strong", **{switch: False}))
    assert getattr(without, kind) == getattr(Strength(), kind)
    assert replace(without, **{kind: getattr(full, kind)}) == full


@pytest.mark.parametrize(
    "how", [Strength(rotate=15.0), Strength(zoom=0.3), Strength(warp=0.4), Strength(light=0.4)]
)
def test_each_kind_changes_the_picture_but_not_beyond_recognition(how: Strength) -> None:
    views = [view(how, sha=sha) for sha in other_shas(40)]
    distances = [np.abs(seen.astype(int) - PLAIN).mean() for seen in views]
    assert 20 <= sum(distance > 0.5 for distance in distances) < 40  # a quarter stays as it is
    assert max(distances) < 70


def test_what_lies_beyond_the_picture_is_its_reflection() -> None:
    framed = Image.new("RGB", (60, 60), (250, 250, 250))
    framed.paste((250, 0, 0), (4, 4, 30, 56))
    framed.paste((0, 0, 250), (30, 4, 56, 56))
    shrunk = 0
    for sha in other_shas(20):
        red, _, blue = random_view(framed, RULES, Strength(zoom=0.5), 0, 1, sha)[24].T.astype(int)
        assert red[0] >= blue[0] - 20  # the right half would come if the picture was repeated
        assert blue[-1] >= red[-1] - 20
        outside_the_frame = red[0] > 200 and blue[0] < 50  # red, then white, then red again
        shrunk += outside_the_frame and blue[:24].max() > 150
    assert shrunk >= 3


def test_corners_turn_without_a_change_of_shape() -> None:
    corners = random_corners(np.random.default_rng(3), Strength(rotate=20.0))
    assert np.linalg.norm(corners, axis=1) == pytest.approx([2**0.5] * 4)
    assert not np.allclose(corners, [[-1, -1], [1, -1], [1, 1], [-1, 1]])


def test_erasing_covers_a_part_and_leaves_the_rest() -> None:
    views = [view(Strength(erase=1.0), sha=sha) for sha in other_shas(20)]
    shares = [(seen != PLAIN).any(axis=-1).mean() for seen in views]
    assert min(shares) > 0.01
    assert max(shares) < 0.25


def test_blending_keeps_pixels_and_targets_in_proportion() -> None:
    pixels = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (0, 100, 200)])
    targets = np.eye(3, dtype=np.float32)
    kinds = set()
    for seed in range(12):
        blend, wanted = mixed(pixels, targets, np.random.default_rng(seed))
        assert blend.dtype == np.uint8
        assert wanted.dtype == np.float32
        assert wanted.sum(axis=1) == pytest.approx([1, 1, 1])
        means = blend.mean(axis=(1, 2, 3))
        assert means == pytest.approx(wanted @ [0, 100, 200], abs=0.6)
        kinds.add(len(np.unique(blend[1])))
    assert kinds == {1, 2}  # MixUp: one grey; CutMix: two
    assert (pixels[1] == 100).all()  # the batch that came is as it was
