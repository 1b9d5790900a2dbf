"""What fine-tuning starts from, and which pictures judge it."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.data.records import Picture, Side
from retrain.metrics import softmax
from retrain.model.backbones import backbone_named
from retrain.model.build import build_backbone, layer_groups
from retrain.model.predict import Forward, predict_logits
from retrain.model.weights import Weights, obtain
from retrain.progress import Silent
from retrain.training.checkpoints import Checkpoints, Progress
from retrain.training.contest import Contest, Judged
from retrain.training.folds import assign_folds
from retrain.training.head import fit_head
from retrain.training.history import EpochRow
from retrain.training.labelled import Labelled, Varied
from retrain.training.logs import TensorBoard
from retrain.training.mirrored import changed_by_mirror
from retrain.training.plan import Plan
from retrain.training.store import Stores
from retrain.training.task import Budget, Task
from retrain.training.tuning import Tuning
from tasks import BACKBONE, some_task, tuning_of

pytestmark = pytest.mark.slow  # trains


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_backbone(BACKBONE, 32, Weights("none"))


def judges(task: Task) -> NDArray[np.intp]:
    """Return the rows of the first fold."""
    return np.flatnonzero(task.folds.of_picture == task.juries()[0])


def test_with_weights_it_starts_from_what_they_make_of_the_head(
    network: keras.Model, tmp_path: Path
) -> None:
    weights = np.array([0.5, 4.0])
    tuning, _ = tuning_of(some_task(network, [str(i) for i in range(20)]), weights)
    pixels = np.full((1, 32, 32, 3), 90, np.uint8)
    rig = tuning.rig(1, 0, 4, (1e-4, 1e-3), Stores(tmp_path, print))
    gained = Forward(rig.learner.model)(pixels) - Forward(tuning.start)(pixels)
    # A category that weighs twice as much seems to come twice as often.
    np.testing.assert_allclose(gained, [np.log(weights)], rtol=1e-3)


def test_it_starts_from_the_head_that_has_not_seen_the_jury(network: keras.Model) -> None:
    task = some_task(network, [str(i) for i in range(20)])
    tuning, head = tuning_of(task)
    fair = head.crossed.heads[task.juries()[0]]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    expected = Forward(network)(pixels) @ fair.kernel + fair.bias
    np.testing.assert_allclose(Forward(tuning.start)(pixels), expected, atol=1e-3)


@pytest.mark.parametrize("groups", [1, 2, 3, 5])
def test_on_each_rung_only_the_last_groups_learn_and_the_whole_model_knows(
    groups: int, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(0)
    network = build_backbone(BACKBONE, 32, Weights("none"))
    task = some_task(network, [str(i) for i in range(20)], folder=tmp_path)
    tuning, _ = tuning_of(task)
    rig = tuning.rig(groups, 2 if groups < 5 else 0, 4, (1e-2, 1e-2), Stores(tmp_path, print))
    before = {variable.path: variable.numpy() for variable in rig.whole.variables}
    batches = rig.sampler.batches(0)
    for _ in range(3):
        rig.learner.step(*next(batches))
    batches.close()
    model = rig.trained()
    names = {layer.name for group in layer_groups(model, BACKBONE)[-groups:] for layer in group}
    moved = {v.path for v in model.variables if not np.array_equal(v.numpy(), before[v.path])}
    assert moved
    assert {path.split("/")[0] for path in moved} <= names
    assert not any("gamma" in path or "moving" in path for path in moved)
    # What the rounds show is what the whole model says.
    paths = [picture.path for picture in tuning.judged_by.pictures]
    whole = predict_logits(Forward(model), paths, task.rules)
    spread = np.abs(whole).max()
    assert rig.validation is not None
    np.testing.assert_allclose(rig.validation.predict(), whole, atol=2e-3 * spread)


def test_one_fold_judges_and_nothing_that_belongs_to_it_is_learned_from(
    network: keras.Model,
) -> None:
    groups = [f"group {i // 4}" for i in range(40)]  # of both categories
    task = some_task(network, groups)
    tuning, _ = tuning_of(task)
    jury = judges(task)
    assert 0 < len(jury) < 20
    assert len(set(task.folds.of_picture[jury])) == 1
    others = np.setdiff1d(np.arange(40), jury)
    assert not {groups[i] for i in jury} & {groups[i] for i in others}
    features = task.parts["train"].features
    np.testing.assert_array_equal(tuning.judged_by.features, features[jury])
    np.testing.assert_array_equal(tuning.learned_from.features, features[others])


def test_the_users_validation_pictures_judge_and_all_others_are_learned_from(
    network: keras.Model,
) -> None:
    task = some_task(network, [str(i) for i in range(20)], validation=6)
    tuning, _ = tuning_of(task)
    assert task.juries() == []
    assert tuning.judged_by is task.parts["validation"]
    assert tuning.learned_from is task.parts["train"]
    assert len(tuning.judged_by.labels) == 6


def test_where_no_picture_can_judge_all_are_learned_from(network: keras.Model) -> None:
    task = some_task(network, ["one", "other"])
    tuning, _ = tuning_of(task)
    assert len(tuning.judged_by.labels) == 0
    assert len(tuning.learned_from.labels) == 2


def test_rounds_of_a_large_jury_are_shown_by_a_part_of_it_with_its_own_truth(
    network: keras.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrain.training.tuning.SHOWN", 3)
    task = some_task(network, [str(i) for i in range(40)], folder=tmp_path)
    tuning, _ = tuning_of(task)
    assert len(tuning.judged_by.labels) > 3
    rig = tuning.rig(1, 0, 4, (1e-4, 1e-3), Stores(tmp_path, print))
    assert rig.validation is not None
    logits = rig.validation.predict()
    assert len(logits) == len(rig.validation.labels) == 3
    row = EpochRow("fine_tune", 1, 1, None, 1.0, 1.0, 0.5, 0.5, 1e-3, 1.0)
    TensorBoard(tmp_path / "logs", task.categories).epoch(
        row, softmax(logits), rig.validation.labels
    )
    assert list((tmp_path / "logs" / "fine_tune").iterdir())


def test_short_cycles_are_profiled_once_and_the_next_ones_go_on(tmp_path: Path) -> None:
    log = TensorBoard(tmp_path, ("often", "rare"), profile=True)
    row = EpochRow("fold_1", 1, 1, None, 1.0, None, None, None, 1e-3, 1.0)
    for stage in ("fine_tune", "fold_1", "refit"):
        for step in range(1, 7):
            log.batch(stage, step, 1.0, 1e-3, np.zeros((2, 8), np.float32))
        log.epoch(replace(row, stage=stage))
    assert len(list(tmp_path.glob("plugins/profile/*"))) == 1


def test_variations_do_not_change_how_far_judges_lie_from_what_was_learned(
    network: keras.Model, tmp_path: Path
) -> None:
    task = some_task(network, [str(i) for i in range(40)], folder=tmp_path)
    tuning, head = tuning_of(task)
    train = task.parts["train"]
    varied = Varied(train.pictures[:12], train.features[:12], np.arange(12))
    judged = Judged(
        tuning.start, "float32", Progress(Plan(2, 0, 8, (1e-4, 1e-3), ((0, 1),))), (), ()
    )

    def told(task: Task) -> NDArray[np.float32]:
        parts = (Budget(0.1, 0.0, tmp_path), Checkpoints(tmp_path / "c"), Silent())
        log = TensorBoard(tmp_path / "logs", task.categories)
        return Contest(task, head, None, *parts, log).strangeness(judged, 1.0)

    np.testing.assert_array_equal(told(task), told(replace(task, varied=varied)))


@pytest.mark.parametrize(("marked", "expected"), [(True, ["left", "right"]), (False, [])])
def test_where_a_mirror_makes_another_category_views_are_not_mirrored(
    marked: bool, expected: list[str], tmp_path: Path
) -> None:
    backbone, rules = backbone_named("efficientnet_lite0"), PixelRules(64, "squash")
    network = build_backbone(backbone, 64, obtain(backbone, "imagenet", lambda _: None))
    rng, pictures = np.random.default_rng(0), []
    for i in range(40):
        scene = rng.integers(0, 90, (64, 64, 3)).astype(np.uint8)
        if marked:  # a bright side: the left one, the right one
            scene[:, 40 * (i % 2) : 40 * (i % 2) + 24] = 230
        else:  # a bright band: above, below
            scene[40 * (i % 2) : 40 * (i % 2) + 24] = 230
        path = tmp_path / f"{i}.png"
        Image.fromarray(scene).save(path)
        pictures.append(Picture(path, path.name, ("left", "right")[i % 2], f"{i:064x}", path.name))
    forward = Forward(network)
    paths = [picture.path for picture in pictures]
    train = Labelled(pictures, predict_logits(forward, paths, rules), np.arange(40) % 2)
    none = train.some(np.zeros(0, np.intp))
    groups, config = [picture.key for picture in pictures], TrainConfig()
    folds = assign_folds(groups, train.labels, config.head.folds)
    parts: dict[Side, Labelled] = {"train": train, "validation": none, "test": none}
    task = Task(network, backbone, rules, parts, groups, folds, ("left", "right"), config)
    head = fit_head(train, folds, groups, config.head, None, Silent())
    changed = changed_by_mirror(task, head, forward)
    assert [task.categories[i] for i in changed] == expected


def test_variations_of_judging_pictures_are_not_learned_from(network: keras.Model) -> None:
    plain = some_task(network, [str(i) for i in range(20)])
    train = plain.parts["train"]
    pictures = [replace(picture, name=f"v {picture.name}") for picture in train.pictures]
    task = replace(plain, varied=Varied(pictures, train.features + 0.1, np.arange(20)))
    head = fit_head(
        train, task.folds, task.groups, task.config.head, None, Silent(), varied=task.varied
    )
    jury = task.juries()[0]
    tuning = Tuning.of(task, head, None, jury)
    judging = {train.pictures[int(i)].name for i in judges(task)}
    taught = [picture.name for picture in tuning.learned_from.pictures]
    assert {picture.name for picture in tuning.judged_by.pictures} == judging
    assert len(taught) == 2 * (20 - len(judging))
    assert not {name.removeprefix("v ") for name in taught} & judging
    assert len(Tuning.of(task, head, None, None).learned_from.labels) == 40
