"""Small tasks for fine-tuning: made-up features, and pictures where they are needed."""

from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from pictures import write_jpegs
from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.data.records import Picture
from retrain.model.backbones import Backbone, backbone_named
from retrain.progress import Silent
from retrain.training.folds import assign_folds
from retrain.training.head import Head, fit_head
from retrain.training.labelled import Labelled
from retrain.training.task import Task
from retrain.training.tuning import Tuning

BACKBONE = backbone_named("mobilenetv2_035")


def some_task(
    network: keras.Model,
    groups: list[str],
    validation: int = 0,
    folder: Path | None = None,
    backbone: Backbone = BACKBONE,
) -> Task:
    """Return a task of two categories by turns, its features made up, without pictures or with."""
    rng, width = np.random.default_rng(0), network.output_shape[-1]
    files = write_jpegs(folder, "disc", len(groups)) if folder else []

    def part(count: int) -> Labelled:
        features = rng.normal(0, 1, (count, width)).astype(np.float32)
        paths = files[:count] or [Path(f"{i}.jpg") for i in range(count)]
        pictures = [Picture(p, p.name, "disc", f"{i:064x}", p.name) for i, p in enumerate(paths)]
        return Labelled(pictures, features, np.arange(count) % 2)

    train, config = part(len(groups)), TrainConfig()
    return Task(
        network=network,
        backbone=backbone,
        rules=PixelRules(32, "squash"),
        parts={"train": train, "validation": part(validation), "test": part(0)},
        groups=groups,
        folds=assign_folds(groups, train.labels, config.head.folds),
        categories=("often", "rare"),
        config=config,
    )


def tuning_of(task: Task, weights: NDArray[np.float64] | None = None) -> tuple[Tuning, Head]:
    """Return what the first fold judges."""
    train, config, juries = task.parts["train"], task.config.head, task.juries()
    head = fit_head(train, task.folds, task.groups, config, weights, Silent())
    return Tuning.of(task, head, weights, juries[0] if juries else None), head
