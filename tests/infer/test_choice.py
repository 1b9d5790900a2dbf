"""Engines side by side, and the one for GPUs: all guess alike."""

import threading
from pathlib import Path

import numpy as np
import pytest

from pictures import write_jpegs
from retrain.data.images import Pixels
from retrain.data.stream import pixel_batches
from retrain.errors import BundleError
from retrain.infer.choice import MOST_LANES, open_engine, open_on_gpu
from retrain.infer.engine import Answer, Engine, Lanes
from retrain.infer.savedmodel import SavedModel
from retrain.run import Run
from retrain.workspace import open_run


@pytest.fixture(scope="module")
def opened(trained: Path) -> Run:
    return open_run(trained)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_jpegs(tmp_path_factory.mktemp("new"), "disc", 11, start=900)


def scores(engine: Lanes, opened: Run, paths: list[Path]) -> np.ndarray:
    """Return [n, k] in label order, in batches as the engine wants them."""
    batches = pixel_batches(paths, opened.rules, engine.batch)
    return np.concatenate([engine.run(pixels).probabilities for pixels in batches])


@pytest.mark.parametrize("precision", ["auto", "float32", "int8"])
def test_lanes_change_no_score(precision: str, opened: Run, paths: list[Path]) -> None:
    one = open_engine(opened, precision, 1, cores=2)  # type: ignore[arg-type]
    several = open_engine(opened, precision, len(paths), cores=3)  # type: ignore[arg-type]
    assert (one.lanes, several.lanes) == (1, 3)
    assert np.array_equal(scores(one, opened, paths), scores(several, opened, paths))


@pytest.mark.parametrize(
    ("pictures", "cores", "lanes"), [(0, 2, 1), (1, 8, 1), (9, 2, 2), (9, 64, MOST_LANES)]
)
def test_lanes_are_no_more_than_pictures_cores_and_memory_bear(
    pictures: int, cores: int, lanes: int, opened: Run
) -> None:
    assert open_engine(opened, "float32", pictures, cores).lanes == lanes


@pytest.mark.parametrize("batch", [4, 64])
def test_the_saved_model_guesses_as_litert_does(batch: int, opened: Run, paths: list[Path]) -> None:
    labels = opened.manifest.labels
    tensorflow = Lanes(lambda: SavedModel(opened.saved_model, labels), 1, batch)
    litert = open_engine(opened, "float32", len(paths), cores=2)
    difference = scores(tensorflow, opened, paths) - scores(litert, opened, paths)
    assert np.abs(difference).max() < 1e-3


def test_both_engines_give_probabilities_and_features(opened: Run) -> None:
    size = opened.manifest.size
    pixels = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    one = SavedModel(opened.saved_model, opened.manifest.labels).run(pixels)
    other = open_engine(opened, "float32", 1, cores=2).run(pixels)
    for mine, theirs in zip(one, other, strict=True):
        assert mine.shape == theirs.shape
        assert np.abs(mine - theirs).max() < 1e-3 * max(1, np.abs(theirs).max())


def test_without_a_gpu_there_is_no_gpu_engine(opened: Run) -> None:
    assert open_on_gpu(opened) is None


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_saved_model_that_cannot_be_read_is_named(damage: str, tmp_path: Path) -> None:
    if damage == "damaged":
        (tmp_path / "saved_model").mkdir()
        (tmp_path / "saved_model" / "saved_model.pb").write_text("nothing")
    with pytest.raises(BundleError, match="saved_model cannot be read"):
        SavedModel(tmp_path / "saved_model", ["a", "b"])


class Slow:
    """An engine that waits until as many as wanted are at work."""

    def __init__(self, together: threading.Barrier) -> None:
        self._together = together

    def run(self, pixels: Pixels) -> Answer:
        self._together.wait(timeout=30)
        return Answer(
            np.zeros((len(pixels), 2), np.float32), np.zeros((len(pixels), 1), np.float32)
        )

    def warm_up(self, pixels: Pixels) -> Answer:
        return self.run(pixels)


def test_as_many_calls_as_lanes_run_at_once() -> None:
    together = threading.Barrier(3)
    opened: list[Engine] = []

    def open_one() -> Engine:
        opened.append(Slow(together))
        return opened[-1]

    lanes = Lanes(open_one, 3, 1)
    assert len(opened) == 1
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    threads = [threading.Thread(target=lanes.run, args=(pixels,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 3
