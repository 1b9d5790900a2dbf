"""The epoch loop and its step, on a real small network."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest

from retrain.config import FineTuneConfig
from retrain.data.images import Pixels
from retrain.errors import MachineError
from retrain.features import weights_digest
from retrain.model.backbones import backbone_named
from retrain.model.build import add_head, build_backbone, dtype_policy, free_last_groups
from retrain.model.predict import Forward
from retrain.model.weights import Weights
from retrain.progress import Silent
from retrain.training.calibration import calibrated_loss
from retrain.training.checkpoints import Checkpoints, Plan
from retrain.training.fit import Course, Fitted, Learner, Log, Validation, fit
from retrain.training.history import EpochRow
from retrain.training.optim import make_optimizer, make_step
from retrain.training.pipeline import Batches
from retrain.training.schedules import rate_share

pytestmark = pytest.mark.slow  # trains

BACKBONE = backbone_named("mobilenetv2_035")
CONFIG = FineTuneConfig(groups=1, smoothing=0.0)
RATES = (1e-2, 1e-2)
LABELS = np.arange(8, dtype=np.int64) % 2
TARGETS = np.eye(2, dtype=np.float32)[LABELS]
# Dark pictures and light ones: what any network can learn in a few steps.
PIXELS = np.stack([np.full((32, 32, 3), 40 + 150 * label, np.uint8) for label in LABELS])


def small_model(policy: str = "float32") -> keras.Model:
    keras.utils.set_random_seed(0)
    with dtype_policy(policy):
        network = build_backbone(BACKBONE, 32, Weights("none"))
        width = network.output_shape[-1]
        model = add_head(network, np.zeros((width, 2), np.float32), np.zeros(2, np.float32))
    free_last_groups(model, BACKBONE, 1)
    return model


def batches(_epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield PIXELS[:5], TARGETS[:5]
    yield PIXELS[5:], TARGETS[5:]


@dataclass(frozen=True)
class TwoBatches:
    """A Sampler of two batches an epoch."""

    batches: Callable[[int], Batches]
    steps: int = 2


class Heard:
    """A Log that remembers the learning rates it heard of, by step."""

    def __init__(self) -> None:
        self.rates: dict[int, float] = {}

    def batch(self, step: int, loss: float, learning_rate: float, pixels: Pixels) -> None:
        self.rates[step] = learning_rate

    def epoch(self, row: EpochRow, scores: np.ndarray | None = None) -> None:
        assert scores is not None
        assert scores.shape == (8, 2)


def optimizer_of(model: keras.Model, steps: int) -> keras.optimizers.Optimizer:
    return make_optimizer(CONFIG, RATES, model, BACKBONE, steps)


def run(
    model: keras.Model,
    folder: Path,
    epochs: int = 4,
    patience: int = 9,
    deadline: float = math.inf,
    log: Log | None = None,
    feed: Callable[[int], Batches] = batches,
    score: Callable[[EpochRow], float] = lambda row: row.valid_loss,
    spoil: float = 0.0,
) -> Fitted:
    folder.mkdir(exist_ok=True)
    forward = Forward(model)
    optimizer = optimizer_of(model, 2 * epochs)
    return fit(
        Learner(model, optimizer, make_step(model, optimizer)),
        TwoBatches(feed),
        Validation(lambda: forward(PIXELS) + np.float32(spoil), LABELS, score),
        Course(Plan(epochs, RATES), patience, deadline),
        Checkpoints(folder),
        Silent(),
        log=log or Heard(),
    )


def test_training_lowers_the_loss_and_ends_with_the_best_weights(tmp_path: Path) -> None:
    model = small_model()
    fitted = run(model, tmp_path)
    assert fitted.best is not None
    assert fitted.history[-1].train_loss < fitted.history[0].train_loss
    best = min(row.valid_loss for row in fitted.history)
    assert fitted.best.valid_loss == best
    assert calibrated_loss(Forward(model)(PIXELS), LABELS) == pytest.approx(best, rel=1e-4)


def test_the_learning_rate_follows_one_cycle(tmp_path: Path) -> None:
    heard = Heard()
    run(small_model(), tmp_path, epochs=4, log=heard)
    expected = [RATES[1] * rate_share(step, 8) for step in range(8)]
    assert heard.rates == pytest.approx(dict(enumerate(expected, start=1)), rel=1e-5)


@pytest.mark.parametrize(("killed_in", "policy"), [(1, "float32"), (3, "mixed_float16")])
def test_a_killed_training_goes_on_to_the_same_weights(
    killed_in: int, policy: str, tmp_path: Path
) -> None:
    whole = small_model(policy)
    expected = run(whole, tmp_path / "whole")

    def dies(epoch: int) -> Batches:
        yield from batches(epoch)
        if epoch == killed_in:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(small_model(policy), tmp_path / "killed", feed=dies)
    model = small_model(policy)
    heard: list[int] = []

    def counting(epoch: int) -> Batches:
        heard.append(epoch)
        yield from batches(epoch)

    fitted = run(model, tmp_path / "killed", feed=counting)
    assert heard == list(range(killed_in, 5))
    assert weights_digest(model) == weights_digest(whole)
    without_time = [replace(row, seconds=0.0) for row in fitted.history]
    assert without_time == [replace(row, seconds=0.0) for row in expected.history]


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04torn"])
def test_a_torn_checkpoint_counts_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.npz").write_bytes(content)
    assert Checkpoints(tmp_path).progress() is None


@pytest.mark.parametrize("name", ["state", "best"])
def test_a_damaged_checkpoint_is_named(name: str, tmp_path: Path) -> None:
    model = small_model()
    run(model, tmp_path, epochs=1)
    path = tmp_path / f"{name}.npz"
    content = bytearray(path.read_bytes())
    content[1000 : len(content) // 2] = bytes(len(content) // 2 - 1000)
    path.write_bytes(content)
    with pytest.raises(MachineError, match=f"{name}.npz is damaged .* Start a fresh training"):
        run(model, tmp_path, epochs=1)


def test_only_the_free_groups_change_and_batch_norm_keeps_its_statistics(tmp_path: Path) -> None:
    model = small_model()
    before = {v.path: v.numpy() for v in model.variables}
    run(model, tmp_path, epochs=1)
    trainable = {v.path for v in model.trainable_variables}
    for variable in model.variables:
        changed = not np.array_equal(variable.numpy(), before[variable.path])
        assert not changed or variable.path in trainable, variable.path
    assert not any("moving" in path or "gamma" in path for path in trainable)


def test_without_a_better_epoch_it_stops_after_the_patience(tmp_path: Path) -> None:
    model = small_model()
    fitted = run(model, tmp_path, epochs=9, patience=2, score=lambda row: row.epoch)
    assert fitted.best == fitted.history[0]
    assert len(fitted.history) == 3
    assert fitted.stopped == "no better validation score since epoch 1"
    again = run(small_model(), tmp_path, epochs=9, patience=9, score=lambda row: row.epoch)
    assert again == fitted  # what was decided stands, whatever the clock says now


def test_the_time_budget_ends_the_stage_after_a_whole_epoch(tmp_path: Path) -> None:
    fitted = run(small_model(), tmp_path, epochs=9, deadline=0.0)
    assert len(fitted.history) == 1
    assert "time budget" in str(fitted.stopped)


def test_a_loss_that_is_no_number_ends_the_stage(tmp_path: Path) -> None:
    model = small_model()
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, bias * np.nan])
    fitted = run(model, tmp_path)
    assert fitted.best is None
    assert "no longer a number" in str(fitted.stopped)
    assert not fitted.history


def test_a_loss_that_becomes_no_number_leaves_the_last_good_weights(tmp_path: Path) -> None:
    model = small_model()

    def spoilt(epoch: int) -> Batches:
        for pixels, targets in batches(epoch):
            yield pixels, targets * np.float32(np.nan if epoch == 3 else 1)

    fitted = run(model, tmp_path, feed=spoilt)
    assert "in epoch 3" in str(fitted.stopped)
    assert len(fitted.history) == 2
    assert np.isfinite(Forward(model)(PIXELS)).all()


def test_an_epoch_whose_last_step_spoilt_the_model_is_not_the_best(tmp_path: Path) -> None:
    fitted = run(small_model(), tmp_path, score=lambda row: -row.macro_f1, spoil=math.nan)
    assert fitted.best is None
    assert "in epoch 1" in str(fitted.stopped)


def test_a_picture_teaches_as_much_as_its_category_weighs() -> None:
    model = small_model()
    model.get_layer("logits").bias.assign([0.0, 1.0])
    weights = np.array([0.25, 4.0])
    step = make_step(model, optimizer_of(model, 9), weights=weights)
    losses = np.logaddexp(0, 1) - np.array([0.0, 1.0])
    blended = np.full_like(TARGETS, 0.5)
    kernel, bias = model.get_layer("logits").get_weights()
    for targets, expected in (
        (TARGETS, (weights * losses).mean()),
        (blended, weights.mean() * losses.mean()),
    ):
        model.get_layer("logits").set_weights([kernel, bias])
        assert float(step(PIXELS, targets)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_with_loss_scaling_where_it_is_needed(
    policy: str, tmp_path: Path
) -> None:
    model = small_model(policy)
    scaled = isinstance(optimizer_of(model, 4), keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    fitted = run(model, tmp_path, epochs=2)
    assert all(math.isfinite(row.train_loss) for row in fitted.history)
    assert model.get_layer("logits").variable_dtype == "float32"


def test_float16_without_loss_scaling_is_refused() -> None:
    model = small_model("mixed_float16")
    with pytest.raises(AssertionError, match="loss scaling"):
        make_step(model, optimizer_of(small_model(), 4))
