"""How every job on training pictures begins: backbone, pixel rules, pictures, weights, features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import TrainConfig
from retrain.data.described import fingerprints
from retrain.data.images import PixelRules
from retrain.data.records import Picture
from retrain.data.related import find
from retrain.data.relations import with_previous
from retrain.features import bottlenecks
from retrain.jobs.machines import Machines
from retrain.jobs.told import report_moved, report_related
from retrain.jobs.training_data import Gathered, TrainingData, gather, split_up
from retrain.model.backbones import Backbone, input_size
from retrain.model.build import build_backbone
from retrain.model.devices import gpus
from retrain.model.predict import Forward
from retrain.model.weights import Weights, choose, obtain
from retrain.progress import Reporter, Silent
from retrain.training.task import Task
from retrain.workspace import Workspace


@dataclass(frozen=True)
class Start:
    """What is known before anything is computed.

    reason: why this backbone. machines: that help; None for this one alone.
    """

    workspace: Workspace
    config: TrainConfig
    backbone: Backbone
    reason: str
    rules: PixelRules
    gathered: Gathered
    data: TrainingData
    weights: Weights
    machines: Machines | None = None

    def extract(self, report: Reporter) -> "Extracted":
        """Send all pictures through the backbone, find those that belong together, and split them.

        Args:
            report: hears what happens.

        Raises:
            DataError: a picture changed meanwhile, or fewer than two categories can be learned.
        """
        network = build_backbone(self.backbone, self.rules.size, self.weights)
        forward = Forward(network, constant=True)
        folder, pictures = self.workspace.bottlenecks, self.gathered.pictures
        every = [*pictures, *self.gathered.varied]
        extractor = self.machines.extractor if self.machines else None
        features = bottlenecks(every, network, forward, self.rules, folder, report, extractor)
        relations = self.gathered.before.relations
        if self.config.split.relate:
            records = fingerprints(pictures, folder, report)
            found = find(pictures, records, features[: len(pictures)], report)
            relations = with_previous(found, relations)
        data = split_up(self.gathered, relations, self.config, Silent())
        report_related(data, report)
        report_moved(self.data, data, report)
        row_of = {picture.name: row for row, picture in enumerate(every)}

        def of(those: Sequence[Picture]) -> NDArray[np.float32]:
            return features[[row_of[picture.name] for picture in those]]

        opening = replace(self, data=data)
        return Extracted(opening, network, forward, of(data.pictures), of(data.varied))


@dataclass(frozen=True)
class Extracted:
    """What a training begins with.

    opening: with its pictures finally split.
    network: the backbone.
    forward: of the backbone.
    features: float32 [n, d] of `opening.data.pictures`.
    varied: float32 [m, d] of `opening.data.varied`.
    """

    opening: Start
    network: keras.Model
    forward: Forward
    features: NDArray[np.float32]
    varied: NDArray[np.float32]

    def task(self) -> Task:
        """Return what is to be learned."""
        opening, data = self.opening, self.opening.data
        return Task(
            network=self.network,
            backbone=opening.backbone,
            rules=opening.rules,
            parts=data.by_side(self.features),
            groups=data.groups[: len(data.learned_from)],
            folds=data.folds,
            categories=data.categories,
            config=opening.config,
            varied=data.made_of_training(self.varied),
            team=opening.machines.team if opening.machines else None,
        )


def start(
    workspace: Workspace,
    config: TrainConfig,
    report: Reporter,
    reason: str | None = None,
    machines: Machines | None = None,
) -> Start:
    """Choose the backbone, read the pictures, and find the weights.

    Args:
        workspace: locked by the caller.
        config: everything that can be chosen.
        report: hears what happens.
        reason: why this backbone; None for what the choice itself says.
        machines: that help; None for this one alone.

    Raises:
        DataError, WeightsError, MachineError, UsageError: see `errors.py`.
    """
    keras.utils.set_random_seed(config.seed)
    backbone, found = choose(config.backbone.name, config.backbone.weights, bool(gpus()))
    reason = reason or found
    rules = PixelRules(input_size(backbone, config.pictures.size), config.pictures.fit)
    report.say(f"Backbone: {backbone.name} at {rules.size} px ({reason}).")
    gathered = gather(workspace, rules, config, report)
    # What the data does not allow is said before anything is computed.
    data = split_up(gathered, gathered.before.relations, config, report)
    weights = obtain(backbone, config.backbone.weights, report.say)
    return Start(workspace, config, backbone, reason, rules, gathered, data, weights, machines)
