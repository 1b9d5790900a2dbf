"""The loop of fine-tuning and its step, on a real small network, and on a clock that is told."""

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from retrain.config import FineTuneConfig
from retrain.errors import MachineError
from retrain.features import weights_digest
from retrain.model.backbones import backbone_named
from retrain.model.build import add_head, build_backbone, dtype_policy, free_last_groups
from retrain.model.predict import Forward
from retrain.model.weights import Weights
from retrain.progress import Silent
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.fit import Course, Log, Validation, fit
from retrain.training.history import EpochRow
from retrain.training.learner import Learner
from retrain.training.optim import make_optimizer, make_step
from retrain.training.pipeline import Batches
from retrain.training.plan import ROUNDS, Pace, Plan
from retrain.training.schedules import rate_share

pytestmark = pytest.mark.slow  # trains

BACKBONE = backbone_named("mobilenetv2_035")
CONFIG = FineTuneConfig(smoothing=0.0)
RATES = (1e-2, 1e-2)
LABELS = np.arange(8, dtype=np.int64) % 2
TARGETS = np.eye(2, dtype=np.float32)[LABELS]
# Dark pictures and light ones: what any network can learn in a few steps.
PIXELS = np.stack([np.full((32, 32, 3), 40 + 150 * label, np.uint8) for label in LABELS])
PARTS = (PIXELS[:5], TARGETS[:5]), (PIXELS[5:], TARGETS[5:])


def small_model(policy: str = "float32") -> keras.Model:
    keras.utils.set_random_seed(0)
    with dtype_policy(policy):
        network = build_backbone(BACKBONE, 32, Weights("none"))
        width = network.output_shape[-1]
        model = add_head(network, np.zeros((width, 2), np.float32), np.zeros(2, np.float32))
    free_last_groups(model, BACKBONE, 1)
    return model


def feed(start: int) -> Batches:
    """Yield one part of the pictures, then the other, from a step on."""
    for step in itertools.count(start):
        yield PARTS[step % 2]


@dataclass(frozen=True)
class Feeding:
    """A Sampler."""

    batches: Callable[[int], Batches]


class Heard:
    """A Log that remembers the learning rates it heard of, by step."""

    def __init__(self) -> None:
        self.rates: dict[int, float] = {}

    def batch(self, stage: str, step: int, loss: float, learning_rate: float, inputs: Any) -> None:
        self.rates[step] = learning_rate

    def epoch(
        self,
        row: EpochRow,
        scores: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> None:
        assert scores is not None
        assert labels is not None
        assert scores.shape == (len(labels), 2)


class Clock:
    """Tells the time that steps have taken, which are fast at first and slow from a step on."""

    def __init__(self, seconds: float = 1.0, slow_from: int = 10**9, slow: float = 1.0) -> None:
        self.now, self.taken = 0.0, 0
        self._seconds, self._slow_from, self._slow = seconds, slow_from, slow

    def __call__(self) -> float:
        return self.now

    def feed(self, start: int) -> Batches:
        for batch in feed(start):
            self.now += self._slow if self.taken >= self._slow_from else self._seconds
            self.taken += 1
            yield batch


def plan(steps: int, pace: Pace | None = None) -> Plan:
    return Plan(1, 0, 4, RATES, ((0, steps),), pace)


def optimizer_of(model: keras.Model) -> keras.optimizers.Optimizer:
    return make_optimizer(CONFIG, RATES, model, BACKBONE, 1)


def run(
    model: keras.Model,
    folder: Path,
    steps: int = 16,
    *,
    pace: Pace | None = None,
    deadline: float = math.inf,
    clock: Clock | None = None,
    log: Log | None = None,
    feed: Callable[[int], Batches] = feed,
    spoil: float = 0.0,
) -> Progress:
    folder.mkdir(exist_ok=True)
    forward = Forward(model)
    optimizer = optimizer_of(model)
    return fit(
        Learner(model, optimizer, make_step(model, optimizer), RATES[1]),
        Feeding(clock.feed if clock else feed),
        Validation(lambda: forward(PIXELS) + np.float32(spoil), LABELS),
        Course(plan(steps, pace), deadline, now=clock or time.monotonic),
        Checkpoints(folder),
        Silent(),
        log=log or Heard(),
    )


def test_training_lowers_the_loss_and_ends_with_the_last_weights(tmp_path: Path) -> None:
    model = small_model()
    progress = run(model, tmp_path)
    assert progress.finished
    assert [row.step for row in progress.history] == list(range(2, 17, 2))
    assert progress.history[-1].train_loss < progress.history[0].train_loss
    last = small_model()
    optimizer = optimizer_of(last)
    Checkpoints(tmp_path).load(Learner(last, optimizer, make_step(last, optimizer), 1.0))
    assert weights_digest(last) == weights_digest(model)


@pytest.mark.parametrize("steps", [3, 11])
def test_the_learning_rate_follows_one_cycle(steps: int, tmp_path: Path) -> None:
    heard = Heard()
    progress = run(small_model(), tmp_path, steps, log=heard)
    expected = [RATES[1] * rate_share(step, steps) for step in range(steps)]
    assert heard.rates == pytest.approx(dict(enumerate(expected, start=1)), rel=1e-5)
    assert len(progress.history) == min(steps, ROUNDS)
    assert progress.history[-1].step == steps


@pytest.mark.parametrize(("killed_in", "policy"), [(3, "float32"), (9, "mixed_float16")])
def test_a_killed_training_goes_on_to_the_same_weights(
    killed_in: int, policy: str, tmp_path: Path
) -> None:
    whole = small_model(policy)
    expected = run(whole, tmp_path / "whole")

    def dies(start: int) -> Batches:
        for step, batch in enumerate(feed(start), start):
            if step == killed_in:
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        run(small_model(policy), tmp_path / "killed", feed=dies)
    model = small_model(policy)
    begun: list[int] = []

    def noted(start: int) -> Batches:
        begun.append(start)
        yield from feed(start)

    progress = run(model, tmp_path / "killed", feed=noted)
    assert begun == [killed_in - 1]
    assert weights_digest(model) == weights_digest(whole)
    without_time = [replace(row, seconds=0.0) for row in progress.history]
    assert without_time == [replace(row, seconds=0.0) for row in expected.history]


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x03\x04torn"])
def test_a_torn_checkpoint_counts_as_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.npz").write_bytes(content)
    assert Checkpoints(tmp_path).progress() is None


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    model = small_model()
    run(model, tmp_path, 2)
    path = tmp_path / "state.npz"
    content = bytearray(path.read_bytes())
    content[1000 : len(content) // 2] = bytes(len(content) // 2 - 1000)
    path.write_bytes(content)
    with pytest.raises(MachineError, match=r"state.npz is damaged .* Start a fresh training"):
        run(model, tmp_path, 2)


def test_only_the_free_groups_change_and_batch_norm_keeps_its_statistics(tmp_path: Path) -> None:
    model = small_model()
    before = {v.path: v.numpy() for v in model.variables}
    run(model, tmp_path, 2)
    trainable = {v.path for v in model.trainable_variables}
    for variable in model.variables:
        changed = not np.array_equal(variable.numpy(), before[variable.path])
        assert not changed or variable.path in trainable, variable.path
    assert not any("moving" in path or "gamma" in path for path in trainable)


@pytest.mark.parametrize(("slow", "from_step"), [(3.0, 20), (2.0, 60), (8.0, 90)])
def test_on_a_machine_that_becomes_slow_the_cycle_still_ends_in_time(
    slow: float, from_step: int, tmp_path: Path
) -> None:
    heard, clock = Heard(), Clock(1.0, from_step, slow)
    progress = run(
        small_model(), tmp_path, 100, pace=Pace(1.0), deadline=111.0, clock=clock, log=heard
    )
    assert progress.finished
    assert progress.step == progress.plan.steps < 100
    assert clock.now <= 1.1 * 111.0
    rates = [heard.rates[step] for step in sorted(heard.rates)]
    assert rates[-1] < 0.02 * RATES[1]  # the cycle came to its end
    assert max(rates) > 0.9 * RATES[1]


def test_on_a_machine_as_fast_as_expected_nothing_is_shortened(tmp_path: Path) -> None:
    clock = Clock(1.0, 30, 1.05)
    progress = run(small_model(), tmp_path, 100, pace=Pace(1.0), deadline=111.0, clock=clock)
    assert progress.plan.totals == ((0, 100),)
    assert progress.finished


def test_where_the_machine_recovers_early_the_cycle_becomes_longer_again(tmp_path: Path) -> None:
    heard, clock = Heard(), Clock(3.0, 12, 1.0)
    progress = run(
        small_model(), tmp_path, 100, pace=Pace(1.0), deadline=140.0, clock=clock, log=heard
    )
    assert min(total for _, total in progress.plan.totals) < 80
    assert progress.step == progress.plan.steps == 100
    assert clock.now <= 140.0
    assert heard.rates[max(heard.rates)] < 0.02 * RATES[1]


def test_a_shortened_cycle_is_remembered_by_the_checkpoint(tmp_path: Path) -> None:
    clock = Clock(1.0, 30, 4.0)
    progress = run(small_model(), tmp_path, 100, pace=Pace(1.0), deadline=111.0, clock=clock)
    assert len(progress.plan.totals) > 1
    assert Checkpoints(tmp_path).progress() == progress
    again = run(small_model(), tmp_path, 100, pace=Pace(1.0), deadline=111.0)
    assert again == progress


def test_a_loss_that_is_no_number_ends_the_stage(tmp_path: Path) -> None:
    model = small_model()
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, bias * np.nan])
    progress = run(model, tmp_path)
    assert not progress.finished
    assert "no longer a number" in str(progress.stopped)
    assert not progress.history
    assert run(small_model(), tmp_path) == progress  # what was decided stands


def test_a_loss_that_becomes_no_number_is_no_end_of_a_cycle(tmp_path: Path) -> None:
    def spoilt(start: int) -> Batches:
        for step, (pixels, targets) in enumerate(feed(start), start):
            yield pixels, targets * np.float32(np.nan if step == 5 else 1)

    progress = run(small_model(), tmp_path, feed=spoilt)
    assert "in step 6" in str(progress.stopped)
    assert len(progress.history) == 2
    assert not progress.finished


def test_a_round_whose_last_step_spoilt_the_model_ends_the_stage(tmp_path: Path) -> None:
    progress = run(small_model(), tmp_path, spoil=math.nan)
    assert not progress.finished
    assert "in step 2" in str(progress.stopped)


def test_a_picture_teaches_as_much_as_its_category_weighs() -> None:
    model = small_model()
    model.get_layer("logits").bias.assign([0.0, 1.0])
    weights = np.array([0.25, 4.0])
    step = make_step(model, optimizer_of(model), weights=weights)
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
    scaled = isinstance(optimizer_of(model), keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    progress = run(model, tmp_path, 4)
    assert all(math.isfinite(row.train_loss) for row in progress.history)
    assert model.get_layer("logits").variable_dtype == "float32"


def test_float16_without_loss_scaling_is_refused() -> None:
    model = small_model("mixed_float16")
    with pytest.raises(AssertionError, match="loss scaling"):
        make_step(model, optimizer_of(small_model()))
