"""A training, from a folder of pictures to a published model; reads like the way of the data."""

import errno
import importlib.metadata
import math
import os
import platform
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tensorflow as tf

from retrain.bundle import Manifest, open_bundle
from retrain.config import TrainConfig
from retrain.data.records import HELD_OUT, Side, Skipped
from retrain.errors import ChecksFailed, MachineError, Terminated, first_line
from retrain.evaluate.advice import advice
from retrain.evaluate.verdicts import Verdict
from retrain.export.float32 import SECONDS as EXPORT_SECONDS
from retrain.features import seconds_per_picture
from retrain.files import write_json
from retrain.jobs.exports import write_exports
from retrain.jobs.report import REPORT, write_report
from retrain.jobs.resume import CHECKPOINTS, begin, superseded
from retrain.jobs.run_files import judge_held_back, write_results
from retrain.jobs.skipped import NAMED
from retrain.jobs.start import start
from retrain.metrics import Evaluation, evaluate, softmax
from retrain.model.classifier import Classifier
from retrain.model.devices import dtype_policy_name, gpus
from retrain.progress import Reporter
from retrain.train.checkpoints import Checkpoints
from retrain.train.logs import TensorBoard
from retrain.train.recipe import learn
from retrain.train.stages import Budget, Task
from retrain.version import VERSION
from retrain.workspace import Workspace

NEARLY_FULL = 1 << 20  # bytes left on a disk that counts as full


@dataclass(frozen=True)
class Trained:
    """A finished training.

    evaluations: by side, None where the side has no pictures. verdicts: on validation and test
    pictures, the greatest loss first. advice: what to do next, a sentence each. interruption:
    that came when the model was published and only the report was missing; the caller should
    raise it once it has told the rest.
    """

    run: Path
    manifest: Manifest
    evaluations: Mapping[Side, Evaluation | None]
    verdicts: Sequence[Verdict]
    advice: Sequence[str]
    skipped: Sequence[Skipped]
    seconds: float
    interruption: BaseException | None = None


def train(
    root: Path, config: TrainConfig, report: Reporter, fresh: bool = False, command: str = ""
) -> Trained:
    """Train on `root/data` and publish the model as `root/model`.

    Args:
        root: the workspace, tf_files.
        config: everything that can be chosen.
        report: hears what happens.
        fresh: forget interrupted trainings instead of going on with one.
        command: that people would type to train so again, for the report.

    Raises:
        DataError, WeightsError, MachineError, UsageError: see `errors.py`.
        ChecksFailed: an export disagrees with the model; the run is kept, not published.
    """
    begun = time.monotonic()
    workspace = Workspace(root.absolute())
    with workspace.lock(report.warn):
        if not workspace.has_links():
            report.say(
                f"The file system of {workspace.root} has no links: "
                f"{workspace.model.name} will be a file that holds the run's name."
            )
        gpu = bool(gpus())
        opening = start(workspace, config, report)
        backbone, rules = opening.backbone, opening.rules
        data, weights = opening.data, opening.weights
        machine = _versions() | {
            "device": "GPU" if gpu else "CPU",
            "number format": dtype_policy_name(config.precision),
        }
        run = begin(workspace, data, config, backbone, weights, machine, fresh, report)
        if len(data.skipped) > NAMED:
            report.say(f"All skipped files are named in {run / 'skipped.csv'}.")
        checkpoints = Checkpoints(run / CHECKPOINTS)
        with _tidy(run, checkpoints):
            network, forward, features = opening.extract(report)
            parts = data.by_side(features)
            budget = Budget(seconds_per_picture(forward, rules.size), _deadline(begun, config, gpu))
            log = TensorBoard(run / "logs", data.categories, parts["validation"].labels)
            task = Task(network, backbone, rules, parts, data.categories, config)
            learned = learn(task, budget, checkpoints, report, log=log)
            temperature = learned.calibration.temperature
            evaluations = {
                side: evaluate(
                    softmax(learned.logits[side], temperature), parts[side].labels, data.categories
                )
                for side in HELD_OUT
            }
            exports = write_exports(
                learned.classifier,
                data,
                features if learned.stage == "head" else None,
                run,
                report,
                seconds_per_picture=budget.seconds_per_picture,
                int8=config.int8,
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
                command=command,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            found = judge_held_back(parts, data.categories, learned)
            write_results(run, data.categories, parts, evaluations, found, learned, rules)
            write_json(run / "manifest.json", asdict(manifest))
        needless = superseded(workspace, run)
        shutil.rmtree(run / CHECKPOINTS, ignore_errors=True)
        _publish(workspace, run, exports.checks)
        for other in needless:
            shutil.rmtree(other, ignore_errors=True)
        interruption = _report(run, learned.classifier, report)
    counts = Counter(p.category for p in parts["train"].pictures)
    return Trained(
        run,
        manifest,
        evaluations,
        found,
        advice(found, {name: counts[name] for name in data.categories}),
        data.skipped,
        time.monotonic() - begun,
        interruption,
    )


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


def _report(run: Path, classifier: Classifier, report: Reporter) -> BaseException | None:
    """Write the report; without it a training is no less finished. Return an interruption."""
    try:
        write_report(open_bundle(run), classifier, run / REPORT, report)
    except (KeyboardInterrupt, Terminated) as interruption:
        report.warn(f"No report: interrupted (retrain report {run} writes it)")
        return interruption
    except Exception as error:
        report.warn(f"No report: {first_line(error)} (retrain report {run} writes it)")
    return None


def _publish(workspace: Workspace, run: Path, checks: Mapping[str, Any]) -> None:
    if not checks["passed"]:
        failed = [name for name in checks if name != "passed" and not checks[name]["passed"]]
        raise ChecksFailed(
            f"The exports must agree with the trained model. Received: {', '.join(failed)} differ, "
            f"see {run / 'manifest.json'}. The run is kept, the published model is as before."
        )
    workspace.publish(run)


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
