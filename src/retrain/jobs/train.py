"""A training, from a folder of pictures to a published model; reads like the way of the data."""

import errno
import importlib.metadata
import math
import os
import platform
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tensorflow as tf

from retrain.bundle import Manifest
from retrain.config import TrainConfig
from retrain.data.records import Skipped
from retrain.errors import ChecksFailed, MachineError, Terminated, first_line
from retrain.evaluate.advice import advice, worth_correcting
from retrain.evaluate.findings import Finding, write_findings
from retrain.features import seconds_per_picture
from retrain.jobs.backbones import with_best_backbone
from retrain.jobs.check import check_held
from retrain.jobs.exports import Exports, expected_seconds, write_exports
from retrain.jobs.judging import Judgement, judge
from retrain.jobs.machines import Machines
from retrain.jobs.reference import write_reference
from retrain.jobs.report import write_report
from retrain.jobs.resume import Identity, begin, superseded
from retrain.jobs.run_files import write_results
from retrain.jobs.skipped import NAMED
from retrain.jobs.start import Start, start
from retrain.model.classifier import Classifier
from retrain.model.devices import dtype_policy_name, gpus, has_onednn, show_gpus
from retrain.progress import BarsOnly, Reporter
from retrain.run import Run
from retrain.training.checkpoints import Checkpoints
from retrain.training.logs import TensorBoard
from retrain.training.recipe import Learned, learn
from retrain.training.task import Budget
from retrain.version import VERSION
from retrain.workspace import Workspace

REPORT_SECONDS = 10.0  # that stress test, learning curve and report take
CHECK_SECONDS = 0.01  # a picture
NEARLY_FULL = 1 << 20  # bytes left on a disk that counts as full


@dataclass(frozen=True)
class Trained:
    """A finished training.

    judgement: how good the model is.
    advice: what to do next, a sentence each.
    skipped: files that were left out.
    interruption: that came when the model was published and only the report was missing; the
        caller should raise it once it has told the rest.
    """

    run: Run
    judgement: Judgement
    advice: Sequence[str]
    skipped: Sequence[Skipped]
    seconds: float
    interruption: BaseException | None = None


def train(
    root: Path,
    config: TrainConfig,
    report: Reporter,
    fresh: bool = False,
    command: str = "",
    machines: Machines | None = None,
    profile: bool = False,
) -> Trained:
    """Train on `root/data` and publish the model as `root/model`.

    Args:
        root: the workspace, tf_files.
        config: everything that can be chosen.
        report: hears what happens.
        fresh: forget interrupted trainings instead of going on with one.
        command: that people would type to train so again, for the report.
        machines: that help; None for this one alone.
        profile: whether to record where the time of some steps goes.

    Raises:
        DataError, WeightsError, MachineError, UsageError: see `errors.py`.
        ChecksFailed: an export disagrees with the model; the run is kept, not published.
    """
    begun = time.monotonic()
    workspace = Workspace(root.absolute())
    with workspace.lock(report.warn):
        # What can go wrong at the end is tried before anything is computed.
        if not workspace.has_links():
            report.say(
                f"The file system of {workspace.root} has no links: "
                f"{workspace.model.name} will be a file that holds the run's name."
            )
        show_gpus(machines.gpus if machines else None)
        config, reason = with_best_backbone(workspace, config, report, machines)
        # Pictures, backbone and weights; each picture goes through the backbone once.
        extracted = start(workspace, config, report, reason, machines).extract(report)
        opening, task = extracted.opening, extracted.task()
        # An interrupted training of the same goes on.
        run = begin(opening, Identity.of(opening, config, _machine(config)), fresh, report)
        if len(opening.data.skipped) > NAMED:
            report.say(f"All skipped files are named in {run.skipped}.")
        checkpoints = Checkpoints(run.checkpoints)
        with _tidy(run, checkpoints):
            # The head, then fine-tuning.
            seconds = seconds_per_picture(extracted.forward, opening.rules.size)
            log = TensorBoard(run.logs, task.categories, profile)
            after = REPORT_SECONDS + CHECK_SECONDS * len(opening.data.pictures)
            after += expected_seconds(task, seconds, config)
            budget = Budget(seconds, _deadline(begun, config, after), workspace.bottlenecks)
            learned = learn(task, budget, checkpoints, report, log=log)
            # What it is worth, on pictures that it had not learned from.
            judgement = judge(task, learned, report)
            # The exports, compared with what was trained; then all that is known goes on record.
            exports = write_exports(
                learned,
                task,
                run,
                report,
                seconds_per_picture=seconds,
                int8=config.int8,
            )
            reference = write_reference(learned, task, run, report)
            write_results(run, task, learned, judgement)
            manifest = _manifest(run, opening, learned, exports, judgement, command)
            run.write_manifest(replace(manifest, reference=reference))
        # The run is finished. It is published if its exports are right; the rest is tidying up.
        needless = superseded(workspace, run)
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        _publish(workspace, run)
        for other in needless:
            shutil.rmtree(other.folder, ignore_errors=True)
        findings, interruption = _checked_and_reported(workspace, run, learned.classifier, report)
    counts = Counter(p.category for p in opening.data.learned_from)
    return Trained(
        run=run,
        judgement=judgement,
        advice=[
            *worth_correcting(findings),
            *advice(
                judgement.verdicts,
                {name: counts[name] for name in task.categories},
                judgement.leading,
                judgement.main.interval if judgement.main else None,
            ),
        ],
        skipped=opening.data.skipped,
        seconds=time.monotonic() - begun,
        interruption=interruption,
    )


def _manifest(
    run: Run,
    opening: Start,
    learned: Learned,
    exports: Exports,
    judgement: Judgement,
    command: str,
) -> Manifest:
    return Manifest(
        run=run.name,
        labels=opening.data.categories,
        backbone=opening.backbone.name,
        backbone_reason=opening.reason,
        weights=opening.weights.source,
        weights_sha256=opening.weights.sha256,
        size=opening.rules.size,
        fit=opening.rules.fit,
        scaling=opening.backbone.scaling,
        kept=learned.stage,
        seed=opening.config.seed,
        data_fingerprint=opening.data.fingerprint(),
        metrics=_brief(judgement),
        checks=exports.checks,
        cascade=exports.cascade,
        versions=_versions(),
        precision=learned.policy,
        plan=_plan(learned),
        temperature=learned.calibration.temperature,
        command=command,
        saved_model_applies_exif=True,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _plan(learned: Learned) -> dict[str, Any] | None:
    """Return what fine-tuning did, for the manifest; None where there was none."""
    if learned.progress is None:
        return None
    progress, plan = learned.progress, learned.progress.plan
    return {
        "layer_groups": plan.groups,
        "stored_views": plan.views,
        "batch": plan.batch,
        "steps_planned": plan.totals[0][1],
        "steps": progress.step,
        "visits": progress.step * plan.batch,
        "seconds_planned": plan.seconds,
        "seconds": progress.seconds,
        "mirrored_views": learned.mirrored,
        "tuned_share": learned.share,
        "judging_folds": learned.judging_folds,
        "refitted": learned.refitted,
    }


def _machine(config: TrainConfig) -> dict[str, str]:
    """Return what of this machine the weights depend on, by name."""
    return _versions() | {
        "device": _devices(len(gpus())),
        "oneDNN": "on" if has_onednn() else "off",
        "number format": dtype_policy_name(config.precision),
    }


def _devices(gpus: int) -> str:
    """Name what computes: sums by several GPUs are rounded otherwise.

    >>> _devices(0), _devices(1), _devices(2)
    ('CPU', 'GPU', '2 GPUs')
    """
    return f"{gpus} GPUs" if gpus > 1 else "GPU" if gpus else "CPU"


def _deadline(begun: float, config: TrainConfig, after: float) -> float:
    """Return when fine-tuning must end, leaving time for what comes after; no limit on a GPU."""
    if gpus() or config.minutes == 0:
        return math.inf
    return begun + config.minutes * 60 - after


def _brief(judgement: Judgement) -> dict[str, Any]:
    """Return the main figures, for the manifest."""
    names = ("pictures", "groups", "accuracy", "interval_95", "macro_f1", "log_loss")
    brief = {
        name: {key: scores.as_dict()[key] for key in names}
        for name, scores in judgement.evaluations.items()
    }
    unlike = judgement.beyond
    beyond = unlike and {
        "accuracy": unlike.accuracy,
        "interval_95": list(unlike.interval),
        "drop": unlike.drop,
    }
    words = list(judgement.sentences)
    return {"judged_by": judgement.leading, **brief, "beyond": beyond, "in_words": words}


def _versions() -> dict[str, str]:
    names = ("keras", "numpy", "pillow", "ai-edge-litert")
    found = {name: importlib.metadata.version(name) for name in names}
    return {
        "retrain": VERSION,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        **found,
    }


def _checked_and_reported(
    workspace: Workspace, run: Run, classifier: Classifier, report: Reporter
) -> tuple[Sequence[Finding], BaseException | None]:
    """Look for what may be wrong with the pictures, and write the report; return an interruption.

    Without either a training is no less finished.
    """
    findings: Sequence[Finding] = ()
    try:
        findings = _findings(workspace, report)
        write_report(run, classifier, run.report, report)
    except (KeyboardInterrupt, Terminated) as interruption:
        report.warn(f"The report was interrupted; `retrain report {run.folder}` writes it.")
        return findings, interruption
    except Exception as error:
        report.warn(
            f"There is no report: {first_line(error)}. `retrain report {run.folder}` tries again."
        )
    return findings, None


def _findings(workspace: Workspace, report: Reporter) -> Sequence[Finding]:
    """Return what may be wrong with the pictures, and write it down; none if that failed."""
    try:
        findings = check_held(workspace, BarsOnly(report)).findings
        write_findings(workspace.root, findings)
    except Exception as error:
        report.warn(f"The pictures were not checked: {first_line(error)}.")
        return ()
    return findings


def _publish(workspace: Workspace, run: Run) -> None:
    checks = run.manifest.checks
    if not checks["passed"]:
        failed = [name for name in checks if name != "passed" and not checks[name]["passed"]]
        raise ChecksFailed(
            f"The exports must agree with the trained model. Received: {', '.join(failed)} differ, "
            f"see {run.manifest_file}. The run is kept, the published model is as before."
        )
    workspace.publish(run)


@contextmanager
def _tidy(run: Run, checkpoints: Checkpoints) -> Iterator[None]:
    """Leave no half-written run behind a failure; name a full disk as such.

    An interruption is no failure, and what was learned in epochs stays anyway.
    """
    try:
        yield
    except Exception as error:
        # TensorFlow and HDF5 hide it behind errors of their own.
        full = shutil.disk_usage(run.folder).free < NEARLY_FULL or os.strerror(errno.ENOSPC) in str(
            error
        )
        if checkpoints.progress() is None:
            shutil.rmtree(run.folder, ignore_errors=True)
        if full:
            raise MachineError(
                f"The disk is full: {run.folder.parent}. Free some space and start again; the "
                "published model is as before."
            ) from error
        raise
