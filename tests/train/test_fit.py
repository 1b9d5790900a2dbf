"""The epoch loop and its step, on a real small network."""

import math
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from retrain.config import FineTuneConfig
from retrain.model.backbones import backbone_named
from retrain.model.build import add_head, build_backbone, dtype_policy, free_last_groups
from retrain.model.predict import Forward, softmax
from retrain.model.weights import Weights
from retrain.progress import Silent
from retrain.train.fit import Fitted, fit
from retrain.train.optim import make_optimizer, make_step

BACKBONE = backbone_named("mobilenetv2_035")
CONFIG = FineTuneConfig(learning_rate=1e-2)
LABELS = np.arange(8, dtype=np.int64) % 2
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
    yield PIXELS[:5], LABELS[:5]
    yield PIXELS[5:], LABELS[5:]


def run(
    model: keras.Model,
    folder: Path,
    epochs: int = 4,
    patience: int = 9,
    to_beat: float = math.inf,
    deadline: float = math.inf,
) -> Fitted:
    forward = Forward(model)
    return fit(
        model,
        make_optimizer(CONFIG, 2 * epochs, model.dtype_policy.name),
        batches,
        2,
        lambda: softmax(forward(PIXELS)),
        LABELS,
        epochs,
        patience,
        to_beat,
        folder / "best.weights.h5",
        deadline,
        Silent(),
    )


def test_training_lowers_the_loss_and_ends_with_the_best_weights(tmp_path: Path) -> None:
    model = small_model()
    fitted = run(model, tmp_path)
    assert fitted.improved
    assert fitted.history[-1].train_loss < fitted.history[0].train_loss
    assert fitted.best_loss == min(row.valid_loss for row in fitted.history)
    probabilities = softmax(Forward(model)(PIXELS))
    loss = -np.log(probabilities[np.arange(8), LABELS]).mean()
    assert loss == pytest.approx(fitted.best_loss, rel=1e-4)


def test_only_the_free_groups_change_and_batch_norm_keeps_its_statistics(tmp_path: Path) -> None:
    model = small_model()
    before = {v.path: v.numpy() for v in model.variables}
    run(model, tmp_path, epochs=1)
    trainable = {v.path for v in model.trainable_variables}
    for variable in model.variables:
        changed = not np.array_equal(variable.numpy(), before[variable.path])
        assert not changed or variable.path in trainable, variable.path
    assert not any("moving" in path or "gamma" in path for path in trainable)


def test_a_model_that_is_not_beaten_stops_after_the_patience(tmp_path: Path) -> None:
    fitted = run(small_model(), tmp_path, epochs=9, patience=2, to_beat=-1.0)
    assert not fitted.improved
    assert len(fitted.history) == 2
    assert fitted.stopped == "no better validation loss since the head"


def test_the_time_budget_ends_the_stage_after_a_whole_epoch(tmp_path: Path) -> None:
    fitted = run(small_model(), tmp_path, epochs=9, deadline=0.0)
    assert len(fitted.history) == 1
    assert "time budget" in str(fitted.stopped)


def test_a_loss_that_is_no_number_ends_the_stage(tmp_path: Path) -> None:
    model = small_model()
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([kernel, bias * np.nan])
    fitted = run(model, tmp_path)
    assert not fitted.improved
    assert "no longer a number" in str(fitted.stopped)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_trains_with_loss_scaling_where_it_is_needed(
    policy: str, tmp_path: Path
) -> None:
    model = small_model(policy)
    optimizer = make_optimizer(CONFIG, 4, policy)
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    fitted = run(model, tmp_path, epochs=2)
    assert all(math.isfinite(row.train_loss) for row in fitted.history)
    assert model.get_layer("logits").variable_dtype == "float32"


def test_float16_without_loss_scaling_is_refused() -> None:
    model = small_model("mixed_float16")
    with pytest.raises(AssertionError, match="loss scaling"):
        make_step(model, make_optimizer(CONFIG, 4, "float32"))
