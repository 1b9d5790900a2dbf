"""What fine-tuning starts from, and which pictures judge it."""

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.model.backbones import backbone_named
from retrain.model.build import build_backbone
from retrain.model.predict import Forward
from retrain.model.weights import Weights
from retrain.progress import Silent
from retrain.training.folds import assign_folds
from retrain.training.head import Head, fit_head
from retrain.training.labelled import Labelled
from retrain.training.stages import Task, Tuning

pytestmark = pytest.mark.slow  # trains

BACKBONE = backbone_named("mobilenetv2_035")


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_backbone(BACKBONE, 32, Weights("none"))


def some_task(network: keras.Model, groups: list[str], validation: int = 0) -> Task:
    """Return a task of two categories by turns, its features made up."""
    rng, width = np.random.default_rng(0), network.output_shape[-1]

    def part(count: int) -> Labelled:
        features = rng.normal(0, 1, (count, width)).astype(np.float32)
        return Labelled([None] * count, features, np.arange(count) % 2)  # type: ignore[list-item]

    train, config = part(len(groups)), TrainConfig()
    return Task(
        network=network,
        backbone=BACKBONE,
        rules=PixelRules(32, "squash"),
        parts={"train": train, "validation": part(validation), "test": part(0)},
        groups=groups,
        folds=assign_folds(groups, train.labels, config.head.folds),
        categories=("often", "rare"),
        config=config,
    )


def tuning_of(task: Task, weights: NDArray[np.float64] | None = None) -> tuple[Tuning, Head]:
    train, config = task.parts["train"], task.config.head
    head = fit_head(train, task.folds, task.groups, config, weights, Silent())
    return Tuning.of(task, head, weights), head


def test_with_weights_it_starts_from_what_they_make_of_the_head(network: keras.Model) -> None:
    weights = np.array([0.5, 4.0])
    tuning, _ = tuning_of(some_task(network, [str(i) for i in range(20)]), weights)
    pixels = np.full((1, 32, 32, 3), 90, np.uint8)
    gained = Forward(tuning.copy())(pixels) - Forward(tuning.start)(pixels)
    # A category that weighs twice as much seems to come twice as often.
    np.testing.assert_allclose(gained, [np.log(weights)], rtol=1e-3)


def test_it_starts_from_the_head_of_all_pictures(network: keras.Model) -> None:
    tuning, head = tuning_of(some_task(network, [str(i) for i in range(20)]))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    features = Forward(network)(pixels)
    np.testing.assert_allclose(Forward(tuning.start)(pixels), head.logits(features), atol=1e-3)


def test_one_fold_judges_and_nothing_that_belongs_to_it_is_learned_from(
    network: keras.Model,
) -> None:
    groups = [f"group {i // 4}" for i in range(40)]  # of both categories
    task = some_task(network, groups)
    tuning, _ = tuning_of(task)
    jury = task.jury()
    assert 0 < len(jury) < 20
    assert len(set(task.folds.of_picture[jury])) == 1
    others = np.setdiff1d(np.arange(40), jury)
    assert not {groups[i] for i in jury} & {groups[i] for i in others}
    features = task.parts["train"].features
    np.testing.assert_array_equal(tuning.judged_by.features, features[jury])
    np.testing.assert_array_equal(tuning.learned_from.features, features[others])
    np.testing.assert_array_equal(task.judging_labels(), task.parts["train"].labels[jury])


def test_the_users_validation_pictures_judge_and_all_others_are_learned_from(
    network: keras.Model,
) -> None:
    task = some_task(network, [str(i) for i in range(20)], validation=6)
    tuning, _ = tuning_of(task)
    assert len(task.jury()) == 0
    assert tuning.judged_by is task.parts["validation"]
    assert tuning.learned_from is task.parts["train"]
    assert len(task.judging_labels()) == 6


def test_where_no_picture_can_judge_all_are_learned_from(network: keras.Model) -> None:
    task = some_task(network, ["one", "other"])
    tuning, _ = tuning_of(task)
    assert len(tuning.judged_by.labels) == 0
    assert len(tuning.learned_from.labels) == 2
