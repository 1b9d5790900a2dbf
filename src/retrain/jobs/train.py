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

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from retrain.bundle import Manifest
from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.data.records import SIDES, Side, Skipped
from retrain.errors import ChecksFailed, MachineError
from retrain.features import bottlenecks, seconds_per_picture
from retrain.jobs.exports import EXPORT_SECONDS, write_exports
from retrain.jobs.training_data import TrainingData, read_training_data
from retrain.metrics import Evaluation, evaluate
from retrain.model.backbones import Backbone, input_size
from retrain.model.build import add_head, build_backbone, copy_under
from retrain.model.devices import dtype_policy_name, gpus
from retrain.model.predict import Forward, predict_probabilities
from retrain.model.weights import choose, obtain
from retrain.progress import Reporter
from retrain.train.fit import EpochRow
from retrain.train.head import Head
from retrain.train.stages import Budget, Labelled, fine_tune, train_head
from retrain.version import VERSION
from retrain.workspace import Workspace, write_csv, write_json, write_split

TEMPERATURE = 1.0  # until calibration fits it
NEARLY_FULL = 1 << 20  # bytes left on a disk that counts as full


@dataclass(frozen=True)
class Trained:
    """A finished training. evaluations: by side, None where the side has no pictures."""

    run: Path
    manifest: Manifest
    evaluations: Mapping[Side, Evaluation | None]
    skipped: Sequence[Skipped]
    seconds: float


def train(root: Path, config: TrainConfig, report: Reporter) -> Trained:
    """Train on `root/data` and publish the model as `root/model`.

    Args:
        root: the workspace, tf_files.
        config: everything that can be chosen.
        report: hears what happens.

    Raises:
        DataError, WeightsError, MachineError, UsageError: see `errors.py`.
        ChecksFailed: an export disagrees with the model; the run is kept, not published.
    """
    start = time.monotonic()
    workspace = Workspace(root.absolute())
    with workspace.lock():
        keras.utils.set_random_seed(config.seed)
        gpu = bool(gpus())
        backbone, reason = choose(config.backbone.name, config.backbone.weights, gpu)
        rules = PixelRules(input_size(backbone, config.pictures.size), config.pictures.fit)
        report.say(f"Backbone: {backbone.name} at {rules.size} px ({reason}).")
        data = read_training_data(workspace, rules, config.split.group_by, report)
        weights = obtain(backbone, config.backbone.weights, report.say)

        run = workspace.new_run(backbone.name)
        with _tidy(run):
            _write_data(run, data, config)
            network = build_backbone(backbone, rules.size, weights)
            forward = Forward(network, constant=True)
            features = bottlenecks(
                data.pictures, network, forward, rules, workspace.bottlenecks, report
            )
            parts = data.by_side(features)
            budget = Budget(seconds_per_picture(forward, rules.size), _deadline(start, config, gpu))
            kept = _fit(network, backbone, rules, data, parts, config, budget, run, report)
            evaluations = {
                side: evaluate(kept.probabilities[side], parts[side].labels, data.categories)
                for side in SIDES[1:]
            }
            exports = write_exports(
                kept.model,
                kept.forward,
                TEMPERATURE,
                data,
                features if kept.stage == "head" else None,
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
                backbone_reason=reason,
                weights=weights.source,
                weights_sha256=weights.sha256,
                size=rules.size,
                fit=rules.fit,
                scaling=backbone.scaling,
                kept=kept.stage,
                seed=config.seed,
                data_fingerprint=data.fingerprint(),
                metrics=_brief(evaluations),
                checks=exports.checks,
                cascade=exports.cascade,
                versions=_versions(),
                precision=kept.policy,
                temperature=TEMPERATURE,
            )
            _write_results(run, manifest, evaluations, kept.history)
            shutil.rmtree(run / "checkpoints", ignore_errors=True)
            write_json(run / "manifest.json", asdict(manifest))
        _publish(workspace, run, exports.checks)
    return Trained(run, manifest, evaluations, data.skipped, time.monotonic() - start)


def _write_data(run: Path, data: TrainingData, config: TrainConfig) -> None:
    (run / "checkpoints").mkdir()
    write_split(run, data.pictures, data.sides, data.previous)
    write_csv(run / "skipped.csv", ("path", "reason"), (astuple(bad) for bad in data.skipped))
    write_json(run / "config.json", asdict(config))


def _deadline(start: float, config: TrainConfig, gpu: bool) -> float:
    """Return when fine-tuning must end, leaving time for the exports; a GPU has no budget."""
    if gpu or config.minutes == 0:
        return math.inf
    return start + config.minutes * 60 - EXPORT_SECONDS


@dataclass(frozen=True)
class _Kept:
    """The model that won, float32. probabilities: on validation and test, [n, k]."""

    model: keras.Model
    forward: Forward
    stage: str
    policy: str
    probabilities: Mapping[Side, NDArray[np.float32]]
    history: Sequence[EpochRow]


def _fit(
    network: keras.Model,
    backbone: Backbone,
    rules: PixelRules,
    data: TrainingData,
    parts: Mapping[Side, Labelled],
    config: TrainConfig,
    budget: Budget,
    run: Path,
    report: Reporter,
) -> _Kept:
    """Train the head, fine-tune from it, and return the better by validation loss, float32."""
    head, history = train_head(
        parts["train"], parts["validation"], len(data.categories), config.head, report
    )
    model = add_head(network, head.kernel, head.bias)
    policy = dtype_policy_name(config.precision)
    tuned = fine_tune(
        model,
        backbone,
        policy,
        parts["train"],
        parts["validation"],
        head,
        rules,
        config.fine_tune,
        config.seed,
        budget,
        run / "checkpoints" / "best.weights.h5",
        report,
    )
    if tuned is None:
        return _kept_head(model, head, parts, history)
    tuned_model, fitted = tuned
    history = (*history, *fitted.history)
    if not fitted.improved:
        report.say("Kept: the head alone; fine-tuning did not lower the validation loss.")
        return _kept_head(model, head, parts, history)
    verdict = f"validation loss {fitted.best_loss:.4f} against the head's {head.valid_loss:.4f}"
    report.say(f"Kept: the fine-tuned model ({verdict}).")
    if policy != "float32":
        tuned_model = copy_under("float32", tuned_model, backbone, rules.size)
    forward = Forward(tuned_model, constant=True)
    probabilities: dict[Side, NDArray[np.float32]] = {
        side: predict_probabilities(forward, [p.path for p in parts[side].pictures], rules)
        for side in SIDES[1:]
    }
    return _Kept(tuned_model, forward, "fine_tune", policy, probabilities, history)


def _kept_head(
    model: keras.Model,
    head: Head,
    parts: Mapping[Side, Labelled],
    history: Sequence[EpochRow],
) -> _Kept:
    probabilities = {side: head.probabilities(parts[side].features) for side in SIDES[1:]}
    return _Kept(model, Forward(model), "head", "float32", probabilities, history)


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
    manifest: Manifest,
    evaluations: Mapping[Side, Evaluation | None],
    history: Sequence[EpochRow],
) -> None:
    header = tuple(entry.name for entry in fields(EpochRow))
    rows = ([("" if cell is None else str(cell)) for cell in astuple(row)] for row in history)
    write_csv(run / "history.csv", header, rows)
    metrics: dict[str, Any] = {"categories": manifest.labels}
    for side, scores in evaluations.items():
        metrics[side] = scores.as_dict() if scores else None
    write_json(run / "metrics.json", metrics)


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
def _tidy(run: Path) -> Iterator[None]:
    """Leave no half-written run behind a failure; name a full disk as such.

    An interruption is no failure: its checkpoints stay.
    """
    try:
        yield
    except Exception as error:
        # TensorFlow and HDF5 hide it behind errors of their own.
        full = shutil.disk_usage(run).free < NEARLY_FULL or os.strerror(errno.ENOSPC) in str(error)
        shutil.rmtree(run, ignore_errors=True)
        if full:
            raise MachineError(
                f"The disk is full: {run.parent}. Free some space and start again; the published "
                "model is as before."
            ) from error
        raise
