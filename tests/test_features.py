"""The bottleneck cache."""

import shutil
import zlib
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from pictures import write_jpegs
from retrain.data.check import check
from retrain.data.feature_cache import Features
from retrain.data.images import PixelRules, read_pixels
from retrain.data.records import Picture
from retrain.data.sources import open_data
from retrain.errors import DataError, WeightsError
from retrain.features import bottlenecks, cache_file
from retrain.model.backbones import backbone_named
from retrain.model.build import build_backbone
from retrain.model.predict import BATCH, Forward
from retrain.model.weights import Weights
from retrain.progress import Silent

RULES = PixelRules(32, "squash")


class Counting:
    """A forward pass that knows how many pictures went through it, warming up left out."""

    def __init__(self, forward: Forward) -> None:
        self.forward, self.width, self.pictures = forward, forward.width, 0

    def __call__(self, pixels: np.ndarray) -> Features:
        self.pictures += int(pixels.any(axis=(1, 2, 3)).sum())
        return self.forward(pixels)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_backbone(backbone_named("mobilenetv2_035"), RULES.size, Weights("none"))


@pytest.fixture(scope="module")
def forward(network: keras.Model) -> Forward:
    return Forward(network)


def pictures_in(data: Path) -> list[Picture]:
    return check(open_data(data), RULES)[0]


def compute(
    data: Path, network: keras.Model, forward: Forward, cache: Path
) -> tuple[Features, int]:
    """Return the features of all pictures in `data`, and how many had to be computed."""
    counting = Counting(forward)
    features = bottlenecks(
        pictures_in(data),
        network,
        counting,  # type: ignore[arg-type]
        RULES,
        cache,
        Silent(),
    )
    return features, counting.pictures


def test_only_what_is_new_is_computed(
    tmp_path: Path, network: keras.Model, forward: Forward
) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    write_jpegs(data, "disc", 10)
    first, computed = compute(data, network, forward, cache)
    assert computed == 10
    assert compute(data, network, forward, cache)[1] == 0

    write_jpegs(data, "stripes", 20)
    more, computed = compute(data, network, forward, cache)
    assert computed == 20
    np.testing.assert_array_equal(more[:10], first)


def test_each_of_several_batches_has_its_own_features(
    tmp_path: Path, network: keras.Model, forward: Forward
) -> None:
    data = tmp_path / "data"
    write_jpegs(data, "noise", 2 * BATCH + 3)
    together, computed = compute(data, network, forward, tmp_path / "cache")
    assert computed == 2 * BATCH + 3
    pixels = np.stack([read_pixels(p.path.read_bytes(), RULES) for p in pictures_in(data)])
    np.testing.assert_allclose(together, forward(pixels), rtol=1e-5, atol=1e-6)


def test_renamed_and_moved_files_are_not_computed_again(
    tmp_path: Path, network: keras.Model, forward: Forward
) -> None:
    cache = tmp_path / "cache"
    for path in write_jpegs(tmp_path / "data", "disc", 4):
        path.rename(path.with_name(f"new-{path.name}"))
    first, _ = compute(tmp_path / "data", network, forward, cache)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "disc").rename(tmp_path / "elsewhere" / "ball")
    again, computed = compute(tmp_path / "elsewhere", network, forward, cache)
    assert computed == 0
    np.testing.assert_array_equal(again, first)


def test_identical_files_are_computed_once(
    tmp_path: Path, network: keras.Model, forward: Forward
) -> None:
    (path,) = write_jpegs(tmp_path / "data", "disc", 1)
    path.with_name("twin.jpg").write_bytes(path.read_bytes())
    features, computed = compute(tmp_path / "data", network, forward, tmp_path / "cache")
    assert computed == 1
    np.testing.assert_array_equal(features[0], features[1])


@pytest.mark.parametrize("torn", [1, 37, 5000])
def test_a_run_killed_while_writing_keeps_the_whole_records(
    torn: int, tmp_path: Path, network: keras.Model, forward: Forward
) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    write_jpegs(data, "disc", 6)
    first, _ = compute(data, network, forward, cache)
    path = cache_file(cache, network, RULES)
    path.write_bytes(path.read_bytes()[:-torn])
    again, computed = compute(data, network, forward, cache)
    assert computed == 1
    np.testing.assert_array_equal(again, first)
    assert compute(data, network, forward, cache)[1] == 0


def test_a_damaged_record_is_noticed_and_computed_again(
    tmp_path: Path, network: keras.Model, forward: Forward
) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    write_jpegs(data, "disc", 6)
    first, _ = compute(data, network, forward, cache)
    path = cache_file(cache, network, RULES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    again, computed = compute(data, network, forward, cache)
    assert computed == 1
    np.testing.assert_array_equal(again, first)
    path.write_bytes(b"rubbish")
    assert compute(data, network, forward, cache)[1] == 6


def test_a_record_that_is_no_number_is_computed_again(
    tmp_path: Path, network: keras.Model, forward: Forward
) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    write_jpegs(data, "disc", 3)
    first, _ = compute(data, network, forward, cache)
    path = cache_file(cache, network, RULES)
    size = path.stat().st_size // 3
    values = np.full(first.shape[1], np.nan, np.float32).tobytes()
    record = path.read_bytes()[:32] + zlib.crc32(values).to_bytes(4, "little") + values
    path.write_bytes(record + path.read_bytes()[size:])
    again, computed = compute(data, network, forward, cache)
    assert computed == 1
    np.testing.assert_array_equal(again, first)


def test_a_picture_that_became_another_one_is_not_remembered(
    network: keras.Model, forward: Forward, tmp_path: Path
) -> None:
    first, second = write_jpegs(tmp_path / "data", "disc", 2)
    pictures = pictures_in(tmp_path / "data")
    shutil.copy(second, first)
    with pytest.raises(DataError, match="another content"):
        bottlenecks(pictures, network, forward, RULES, tmp_path / "cache", Silent())


def test_a_backbone_that_gives_no_numbers_is_refused(tmp_path: Path) -> None:
    broken = build_backbone(backbone_named("mobilenetv2_035"), RULES.size, Weights("none"))
    broken.set_weights([values * np.nan for values in broken.get_weights()])
    write_jpegs(tmp_path / "data", "disc", 1)
    with pytest.raises(WeightsError, match="not finite"):
        compute(tmp_path / "data", broken, Forward(broken), tmp_path / "cache")


def test_other_weights_and_other_pixel_rules_have_their_own_cache(
    tmp_path: Path, network: keras.Model
) -> None:
    path = cache_file(tmp_path, network, RULES)
    assert cache_file(tmp_path, network, replace(RULES, fit="crop")) != path
    other = keras.models.clone_model(network)
    assert cache_file(tmp_path, other, RULES) != path
