"""A file of features tells its own width; what is damaged is not taken for one."""

from pathlib import Path

import numpy as np

from retrain.data.feature_cache import FeatureCache, existing_cache


def fill(path: Path, width: int, pictures: int = 3) -> FeatureCache:
    cache = FeatureCache(path, width)
    rng = np.random.default_rng(width)
    with cache.appending() as append:
        append([(bytes([i] * 32), rng.random(width, np.float32)) for i in range(pictures)])
    return cache


def test_the_width_is_that_at_which_the_checksum_holds(tmp_path: Path) -> None:
    for width in (1, 7, 1280, 2048):
        path = tmp_path / f"{width}.features"
        fill(path, width)
        found = existing_cache(path)
        assert found is not None
        assert found.width == width
        entries, damaged = found.read()
        assert (len(entries), damaged) == (3, 0)


def test_no_file_and_a_damaged_one_have_none(tmp_path: Path) -> None:
    path = tmp_path / "x.features"
    assert existing_cache(path) is None
    path.write_bytes(b"")
    assert existing_cache(path) is None
    fill(path, 16)
    path.write_bytes(path.read_bytes()[:40] + b"?" + path.read_bytes()[41:])
    assert existing_cache(path) is None
