"""A training, from a folder of pictures to a published model; reads like the way of the data."""

import errno
import importlib.metadata
import math
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from retrain.bundle import Manifest
from retrain.config import TrainConfig
from retrain.data.records import SIDES, Side, Skipped
from retrain.errors import ChecksFailed, MachineError
from retrain.features import seconds_per_picture
from retrain.jobs.exports import EXPORT_SECONDS, write_exports
from retrain.jobs.resume import CHECKPOINTS, begin
from retrain.jobs.start import start
from retrain.metrics import Evaluation, calibration_error, evaluate, log_loss, softmax
from retrain.model.devices import dtype_policy_name, gpus
from retrain.plots import draw_history
from retrain.progress import Reporter
from retrain.train.calibration import Calibration
from retrain.train.checkpoints import Checkpoints, EpochRow
from retrain.train.labelled import Labelled
from retrain.train.logs import TensorBoard
from retrain.train.recipe import Learned, learn
from retrain.train.schedules import rate_share
from retrain.train.stages import Budget
from retrain.version import VERSION
from retrain.workspace import Workspace, write_csv, write_json

CURVE_POINTS = 200  # of the learning rate's curve
NEARLY_FULL = 1 << 20  # bytes left on a disk that counts as full


@dataclass(frozen=True)
class Trained:
    """A finished training. evaluations: by side, None where the side has no pictures."""

    run: Path
    manifest: Manifest
    evaluations: Mapping[Side, Evaluation | None]
    skipped: Sequence[Skipped]
    seconds: float


def train(root: Path, config: TrainConfig, report: Reporter, fresh: bool = False) -> Trained:
    """Train on `root/data` and publish the model as `root/model`.

    Args:
        root: the workspace, tf_files.
        config: everything that can be chosen.
        report: hears what happens.
        fresh: do not go on with an interrupted training of the same pictures and options.

    Raises:
        DataError, WeightsError, MachineError, UsageError: see `errors.py`.
        ChecksFailed: an export disagrees with the model; the run is kept, not published.
    """
    begun = time.monotonic()
    workspace = Workspace(root.absolute())
    with workspace.lock():
        gpu = bool(gpus())
        opening = start(workspace, config, report)
        backbone, rules = opening.backbone, opening.rules
        data, weights = opening.data, opening.weights
        machine = _versions() | {
            "device": "GPU" if gpu else "CPU",
            "number format": dtype_policy_name(config.precision),
        }
        run = begin(workspace, data, config, backbone, weights, machine, fresh, report)
        checkpoints = Checkpoints(run / CHECKPOINTS)
        with _tidy(run, checkpoints):
            network, forward, features = opening.extract(report)
            parts = data.by_side(features)
            budget = Budget(seconds_per_picture(forward, rules.size), _deadline(begun, config, gpu))
            log = TensorBoard(run / "logs", data.categories, parts["validation"].labels)
            learned = learn(
                network,
                backbone,
                rules,
                parts,
                data.categories,
                config,
                budget,
                checkpoints,
                log,
                report,
            )
            temperature = learned.calibration.temperature
            evaluations = {
                side: evaluate(
                    softmax(learned.logits[side], temperature), parts[side].labels, data.categories
                )
                for side in SIDES[1:]
            }
            exports = write_exports(
                learned.model,
                learned.forward,
                temperature,
                data,
                features if learned.stage == "head" else None,
                rules,
                run,
                budget.seconds_per_picture,
                config.int8,
                report,
            )
            manifest = Manifest(
                run=run.name,
                labels=data.categories,
                backbone=backbone.name,
                backbone_reason=opening.reason,
                weights=weights.source,
                weights_sha256=weights.sha256,
                size=rules.size,
                fit=rules.fit,
                scaling=backbone.scaling,
                kept=learned.stage,
                seed=config.seed,
                data_fingerprint=data.fingerprint(),
                metrics=_brief(evaluations),
                checks=exports.checks,
                cascade=exports.cascade,
                versions=_versions(),
                precision=learned.policy,
                temperature=temperature,
            )
            _write_results(run, data.categories, parts, evaluations, learned)
            write_json(run / "manifest.json", asdict(manifest))
        shutil.rmtree(run / CHECKPOINTS, ignore_errors=True)
        _publish(workspace, run, exports.checks)
    return Trained(run, manifest, evaluations, data.skipped, time.monotonic() - begun)


def _deadline(begun: float, config: TrainConfig, gpu: bool) -> float:
    """Return when fine-tuning must end, leaving time for the exports; a GPU has no budget."""
    if gpu or config.minutes == 0:
        return math.inf
    return begun + config.minutes * 60 - EXPORT_SECONDS


def _brief(evaluations: Mapping[Side, Evaluation | None]) -> dict[str, Any]:
    names = ("pictures", "accuracy", "interval_95", "macro_f1", "log_loss")
    return {
        side: {name: scores.as_dict()[name] for name in names} if scores else None
        for side, scores in evaluations.items()
    }


def _versions() -> dict[str, str]:
    names = ("keras", "numpy", "pillow", "ai-edge-litert")
    found = {name: importlib.metadata.version(name) for name in names}
    return {
        "retrain": VERSION,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        **found,
    }


def _write_results(
    run: Path,
    categories: Sequence[str],
    parts: Mapping[Side, Labelled],
    evaluations: Mapping[Side, Evaluation | None],
    learned: Learned,
) -> None:
    header = tuple(entry.name for entry in fields(EpochRow))
    rows = (
        [("" if cell is None else str(cell)) for cell in astuple(row)] for row in learned.history
    )
    write_csv(run / "history.csv", header, rows)
    _draw_history(learned, run / "history.png")
    metrics: dict[str, Any] = {"categories": categories}
    for side, scores in evaluations.items():
        metrics[side] = scores.as_dict() if scores else None
    metrics["calibration"] = asdict(learned.calibration) | {
        side: _calibration(learned.logits[side], parts[side].labels, learned.calibration)
        for side, scores in evaluations.items()
        if scores
    }
    write_json(run / "metrics.json", metrics)


def _draw_history(learned: Learned, path: Path) -> None:
    def lines(stage: str) -> dict[str, list[float]]:
        rows = [row for row in learned.history if row.stage == stage]
        training = {"training": [row.train_loss for row in rows]}
        held_out = {"validation": [row.valid_loss for row in rows]}
        return training | held_out if rows else {}

    penalties = [row.penalty for row in learned.history if row.penalty is not None]
    epochs, peak = (learned.plan.epochs, learned.plan.learning_rates[1]) if learned.plan else (0, 0)
    rates = [peak * rate_share(i, CURVE_POINTS) for i in range(CURVE_POINTS)]
    draw_history(penalties, lines("head"), lines("fine_tune"), rates, epochs, path)


def _calibration(
    logits: NDArray[np.float32], labels: NDArray[np.integer], calibration: Calibration
) -> dict[str, Any]:
    """Return what the temperature did on one side, with the number of pictures behind it."""
    before, after = softmax(logits), softmax(logits, calibration.temperature)
    return {
        "pictures": len(labels),
        "log_loss": {"before": log_loss(before, labels), "after": log_loss(after, labels)},
        "calibration_error": {
            "before": calibration_error(before, labels),
            "after": calibration_error(after, labels),
        },
    }


def _publish(workspace: Workspace, run: Path, checks: Mapping[str, Any]) -> None:
    if not checks["passed"]:
        failed = [name for name in checks if name != "passed" and not checks[name]["passed"]]
        raise ChecksFailed(
            f"The exports must agree with the trained model. Received: {', '.join(failed)} differ, "
            f"see {run / 'manifest.json'}. The run is kept, the published model is as before."
        )
    workspace.publish(run)
    workspace.drop_unfinished_runs()


@contextmanager
def _tidy(run: Path, checkpoints: Checkpoints) -> Iterator[None]:
    """Leave no half-written run behind a failure; name a full disk as such.

    An interruption is no failure, and what was learned in epochs stays anyway.
    """
    try:
        yield
    except Exception as error:
        # TensorFlow and HDF5 hide it behind errors of their own.
        full = shutil.disk_usage(run).free < NEARLY_FULL or os.strerror(errno.ENOSPC) in str(error)
        if checkpoints.progress() is None:
            shutil.rmtree(run, ignore_errors=True)
        if full:
            raise MachineError(
                f"The disk is full: {run.parent}. Free some space and start again; the published "
                "model is as before."
            ) from error
        raise
