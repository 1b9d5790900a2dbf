"""Which backbone a training begins with, where several are compared by their heads."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.config import Prefer, TrainConfig
from retrain.errors import WeightsError
from retrain.features import seconds_per_picture
from retrain.jobs.machines import Machines
from retrain.jobs.start import start
from retrain.model.backbones import backbone_named, input_size
from retrain.model.weights import ready_file
from retrain.progress import Reporter, Silent
from retrain.training.balance import category_weights
from retrain.training.calibration import probability_losses
from retrain.training.head import fit_head
from retrain.workspace import Workspace

COLUMNS = ("backbone", "accuracy", "log loss", "ms a picture", "MB")


@dataclass(frozen=True)
class Tried:
    """What a head on the features of a backbone came to.

    losses: log loss of each judged picture, float [n]; the same pictures for all backbones.
    accuracy: of these, 0..1.
    seconds: that a picture takes on this machine.
    size: of the weights in float32, in bytes.
    """

    name: str
    losses: NDArray[np.float64]
    accuracy: float
    seconds: float
    size: int


def with_best_backbone(
    workspace: Workspace, config: TrainConfig, report: Reporter, machines: Machines | None = None
) -> tuple[TrainConfig, str | None]:
    """Return the configuration with the backbone that a comparison of heads chose, and why.

    Args:
        workspace: locked by the caller. Features stay in it, so that the training finds them.
        config: names the backbones; unchanged and without a reason where it names none.
        report: shows the table.
        machines: that help; None for this one alone.

    Raises:
        DataError, WeightsError, MachineError, UsageError: see `errors.py`; `WeightsError` if the
            weights of none are there.
    """
    names = list(dict.fromkeys(config.backbone.compare or ()))
    if not names:
        return config, None
    for name in names:  # wrong names and sizes are said before anything is computed
        input_size(backbone_named(name, setting="compare"), config.pictures.size)
    ready = [name for name in names if _is_ready(name, config)]
    for name in names:
        if name not in ready:
            report.warn(
                f"{name} is left out of the comparison: its weights are not here. "
                f"`retrain weights {name}` fetches them."
            )
    if not ready:
        raise WeightsError(
            "The weights of one of the compared backbones must be here. Received: "
            f"{', '.join(names)}, all without weights.",
            setting="compare",
        )
    tried = [_tried(name, workspace, config, report, machines) for name in ready]
    row_out = report.table(COLUMNS)
    for found in tried:
        row_out(_cells(found))
    best, why = preferred(tried, config.backbone.prefer)
    reason = f"the {why} of {len(tried)} compared" if len(tried) > 1 else "the only one compared"
    return replace(config, backbone=replace(config.backbone, name=best.name)), reason


def preferred(tried: Sequence[Tried], prefer: Prefer) -> tuple[Tried, str]:
    """Return the backbone to go on with, and which it is in words.

    The most accurate has the lowest log loss. The fastest and the smallest are looked for among
    those that are not worse than it beyond chance: by a standard error of the difference.
    """
    best = min(tried, key=lambda each: each.losses.mean() if len(each.losses) else math.inf)
    if prefer == "accurate":
        return best, "most accurate"
    equal = [each for each in tried if not _is_worse(each, best)]
    by: dict[Prefer, tuple[Callable[[Tried], float], str]] = {
        "fast": (lambda each: each.seconds, "fastest that is about as good as the best"),
        "small": (lambda each: each.size, "smallest that is about as good as the best"),
    }
    key, why = by[prefer]
    return min(equal, key=key), why


def _is_worse(one: Tried, best: Tried) -> bool:
    if one is best or len(one.losses) < 2:
        return False
    more = one.losses - best.losses
    return bool(more.mean() > more.std(ddof=1) / math.sqrt(len(more)))


def _is_ready(name: str, config: TrainConfig) -> bool:
    return config.backbone.weights != "imagenet" or ready_file(backbone_named(name)) is not None


def _cells(tried: Tried) -> list[str]:
    return [
        tried.name,
        f"{tried.accuracy:.4f}",
        f"{tried.losses.mean():.4f}" if len(tried.losses) else "-",
        f"{1000 * tried.seconds:.1f}",
        f"{tried.size / 1e6:.1f}",
    ]


def _tried(
    name: str,
    workspace: Workspace,
    config: TrainConfig,
    report: Reporter,
    machines: Machines | None,
) -> Tried:
    own = replace(config, backbone=replace(config.backbone, name=name))
    extracted = start(workspace, own, report, "to compare it", machines).extract(report)
    task = extracted.task()
    train = task.parts["train"]
    weights = category_weights(train.labels, len(task.categories), config.balance)
    head = fit_head(
        train, task.folds, task.groups, config.head, weights, Silent(), varied=task.varied
    )
    judged = head.crossed.judged
    scores, labels = head.crossed.probabilities()[judged], train.labels[judged]
    found = Tried(
        name=name,
        losses=probability_losses(scores, labels),
        accuracy=float((scores.argmax(axis=1) == labels).mean()) if len(labels) else math.nan,
        seconds=seconds_per_picture(extracted.forward, task.rules.size),
        size=4 * (extracted.network.count_params() + head.kernel.size + head.bias.size),
    )
    keras.utils.clear_session(free_memory=True)
    return found
