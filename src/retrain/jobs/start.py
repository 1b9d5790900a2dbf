"""How every job on training pictures begins: backbone, pixel rules, pictures, weights, features."""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.features import bottlenecks
from retrain.jobs.training_data import TrainingData, read_training_data
from retrain.model.backbones import Backbone, input_size
from retrain.model.build import build_backbone
from retrain.model.devices import gpus
from retrain.model.predict import Forward
from retrain.model.weights import Weights, choose, obtain
from retrain.progress import Reporter
from retrain.training.stages import Task
from retrain.workspace import Workspace


@dataclass(frozen=True)
class Start:
    """What is known before anything is computed. reason: why this backbone."""

    workspace: Workspace
    config: TrainConfig
    backbone: Backbone
    reason: str
    rules: PixelRules
    data: TrainingData
    weights: Weights

    def extract(self, report: Reporter) -> tuple[keras.Model, Forward, NDArray[np.float32]]:
        """Return the backbone, its forward pass, and float32 [n, d] features of all pictures."""
        network = build_backbone(self.backbone, self.rules.size, self.weights)
        forward = Forward(network, constant=True)
        folder = self.workspace.bottlenecks
        features = bottlenecks(self.data.pictures, network, forward, self.rules, folder, report)
        return network, forward, features

    def task(self, network: keras.Model, features: NDArray[np.float32]) -> Task:
        """Return what is to be learned, from features [n, d] of all pictures."""
        data = self.data
        return Task(
            network=network,
            backbone=self.backbone,
            rules=self.rules,
            parts=data.by_side(features),
            groups=data.groups[: len(data.learned_from)],
            folds=data.folds,
            categories=data.categories,
            config=self.config,
        )


def start(workspace: Workspace, config: TrainConfig, report: Reporter) -> Start:
    """Choose the backbone, read the pictures, and find the weights.

    Args:
        workspace: locked by the caller.
        config: everything that can be chosen.
        report: hears what happens.

    Raises:
        DataError, WeightsError, MachineError, UsageError: see `errors.py`.
    """
    keras.utils.set_random_seed(config.seed)
    backbone, reason = choose(config.backbone.name, config.backbone.weights, bool(gpus()))
    rules = PixelRules(input_size(backbone, config.pictures.size), config.pictures.fit)
    report.say(f"Backbone: {backbone.name} at {rules.size} px ({reason}).")
    data = read_training_data(workspace, rules, config, report)
    weights = obtain(backbone, config.backbone.weights, report.say)
    return Start(workspace, config, backbone, reason, rules, data, weights)
