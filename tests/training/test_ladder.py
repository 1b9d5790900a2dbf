"""The choice of a rung by the clock, on a real small network and real pictures."""

import math
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from pictures import write_jpegs
from retrain.config import FineTuneConfig, TrainConfig
from retrain.data.images import PixelRules
from retrain.data.records import Picture
from retrain.model.backbones import backbone_named
from retrain.model.build import build_backbone
from retrain.model.weights import Weights
from retrain.progress import Silent
from retrain.training.folds import assign_folds
from retrain.training.head import fit_head
from retrain.training.labelled import Labelled
from retrain.training.ladder import Chosen, rungs, timed_plan, untimed_plan
from retrain.training.plan import LEAST_STEPS
from retrain.training.store import Stores
from retrain.training.task import Budget, Task
from retrain.training.tuning import Tuning

pytestmark = pytest.mark.slow  # compiles

BACKBONE = backbone_named("mobilenetv2_035")
EACH = 10


class Said(Silent):
    """A Reporter that remembers."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def tuning(tmp_path_factory: pytest.TempPathFactory) -> Tuning:
    keras.utils.set_random_seed(0)
    network = build_backbone(BACKBONE, 32, Weights("none"))
    folder = tmp_path_factory.mktemp("pictures")
    paths = [*write_jpegs(folder, "disc", EACH), *write_jpegs(folder, "stripes", EACH)]
    pictures = [Picture(p, p.name, p.parent.name, f"{i:064x}", p.name) for i, p in enumerate(paths)]
    rng, width = np.random.default_rng(0), network.output_shape[-1]
    features = rng.normal(0, 1, (2 * EACH, width)).astype(np.float32)
    train = Labelled(pictures, features, np.repeat([0, 1], EACH))
    none = Labelled([], features[:0], train.labels[:0])
    config = TrainConfig(fine_tune=FineTuneConfig(smoothing=0.0))
    groups = [picture.key for picture in pictures]
    folds = assign_folds(groups, train.labels, config.head.folds)
    task = Task(
        network,
        BACKBONE,
        PixelRules(32, "squash"),
        {"train": train, "validation": none, "test": none},
        groups,
        folds,
        ("disc", "stripes"),
        config,
    )
    head = fit_head(train, folds, groups, config.head, None, Silent())
    return Tuning.of(task, head, None, task.juries()[0])


def choose(tuning: Tuning, seconds: float, each: float, disk: Path, report: Said) -> Chosen | None:
    budget = Budget(each, time.monotonic() + seconds, disk)
    return timed_plan(tuning, budget, Stores(disk, report.warn), report)


def test_with_enough_time_the_last_three_groups_train(tuning: Tuning, tmp_path: Path) -> None:
    report = Said()
    chosen = choose(tuning, 3600.0, 1e-4, tmp_path, report)
    assert chosen is not None
    assert chosen.plan.groups == 3
    assert chosen.plan.views > 0
    assert chosen.plan.steps == LEAST_STEPS
    assert chosen.plan.pace is not None
    assert chosen.plan.seconds is not None
    assert len(report.lines) == 1  # more minutes would buy nothing
    assert "the last 3 of 5 layer groups, 300 steps of 16 pictures" in report.lines[0]


def test_timing_leaves_the_model_as_it_was(tuning: Tuning, tmp_path: Path) -> None:
    chosen = choose(tuning, 3600.0, 1e-4, tmp_path, Said())
    assert chosen is not None
    learner = chosen.rig.learner
    for variable in learner.model.variables:
        layer, name = variable.path.split("/")
        source = {v.name: v for v in chosen.rig.whole.get_layer(layer).variables}[name]
        np.testing.assert_array_equal(variable, source)
    assert int(learner.optimizer.iterations) == 0


def test_with_less_time_the_last_two_train(tuning: Tuning, tmp_path: Path) -> None:
    report = Said()
    # A pass that is said to take long: too long for three groups, but not for two.
    each = 0.1
    chosen = choose(tuning, each * 16 * 4 * 30, each, tmp_path, report)
    assert chosen is not None
    assert chosen.plan.groups == 2
    assert "there would be time for the last 3 of 5 layer groups" in report.lines[-1]


def test_without_time_nothing_is_tuned_and_that_is_said(tuning: Tuning, tmp_path: Path) -> None:
    report = Said()
    assert choose(tuning, 0.5, 0.1, tmp_path, report) is None
    assert "has room for hardly a step" in report.lines[-1]


def test_without_a_limit_nothing_is_timed(tuning: Tuning) -> None:
    plan = untimed_plan(tuning)
    assert plan.groups == tuning.group_count() > rungs(tuning)[0]
    assert plan.pace is None
    assert plan.seconds is None
    assert math.isinf(Budget(0.1, math.inf, Path()).deadline)
