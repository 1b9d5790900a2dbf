"""Prints what a few steps come to on one logical CPU device, and shared by some, as JSON.

python tests/training/two_devices.py PRECISION DEVICES GROUPS CLIP

The precision "scaled" is float32 with the loss scaling of mixed_float16.
"""

import json
import sys
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import keras
import tensorflow as tf

from retrain.model.backbones import backbone_named
from retrain.model.build import build_backbone
from retrain.model.weights import obtain
from retrain.training.learner import Learner
from retrain.training.optim import make_optimizer, make_step
from retrain.training.store import Stores
from retrain.training.tuning import Rig, Tuning
from tasks import some_task, tuning_of

STEPS, RATES = 6, (1e-5, 1e-4)


def scaled(tuning: Tuning, rig: Rig) -> Learner:
    """Return a learner whose loss is scaled before gradients are taken, which are scaled back."""
    model = rig.learner.model
    inner = make_optimizer(tuning.recipe, RATES, rig.whole, tuning.task.backbone, 5)
    optimizer = keras.optimizers.LossScaleOptimizer(inner)
    return Learner(model, optimizer, make_step(model, optimizer, tuning.recipe.smoothing), RATES[1])


def main(precision: str, devices: int, groups: int, clip: float) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * devices
    )
    backbone, losses = backbone_named("efficientnet_lite0"), []
    for names in (["CPU:0"], [f"CPU:{i}" for i in range(devices)]):
        strategy = tf.distribute.MirroredStrategy(names) if len(names) > 1 else None
        keras.utils.set_random_seed(0)
        with tempfile.TemporaryDirectory() as place:
            # Random weights would hardly pass anything on.
            network = build_backbone(backbone, 32, obtain(backbone, "imagenet", print))
            those = [str(i) for i in range(20)]
            task = some_task(network, those, folder=Path(place), backbone=backbone)
            recipe = replace(task.config.fine_tune, clip_norm=clip)
            config = replace(task.config, fine_tune=recipe)
            if precision == "mixed_float16":
                config = replace(config, precision="mixed_float16")
            task = replace(task, config=config)
            tuning, _ = tuning_of(task)
            stores = Stores(Path(place), print)
            with strategy.scope() if strategy else tf.distribute.get_strategy().scope():
                rig = tuning.rig(groups, 0 if groups == 5 else 2, 4, RATES, stores)
                learner = scaled(tuning, rig) if precision == "scaled" else rig.learner
            learner.set_pace(1.0, 0.9)
            batches = rig.sampler.batches(0)
            losses.append([float(learner.step(*one)) for one in islice(batches, STEPS)])
            batches.close()
            rig.trained()
    print(json.dumps(losses))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
