"""Whether a training goes on where an interrupted one stopped, or starts over, and why."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from retrain.config import TrainConfig
from retrain.files import ENCODE_ERRORS, write_csv, write_json
from retrain.jobs.training_data import TrainingData
from retrain.model.backbones import Backbone
from retrain.model.weights import Weights
from retrain.progress import Reporter, counted
from retrain.train.checkpoints import Checkpoints
from retrain.workspace import SPLIT, Workspace, write_split

CHECKPOINTS = "checkpoints"  # in a run, while it is not finished
IDENTITY = "training.json"  # there: what a training must have in common with it to go on
CONFIG = "config.json"
_PURPOSE = ("pictures", "options", "backbone", "weights")  # other libraries lead to the same model


def begin(
    workspace: Workspace,
    data: TrainingData,
    config: TrainConfig,
    backbone: Backbone,
    weights: Weights,
    machine: Mapping[str, str],
    fresh: bool,
    report: Reporter,
) -> Path:
    """Return the run to work in: the interrupted one if all is as it was, else a new one.

    Args:
        workspace: locked.
        data: the pictures as they are now.
        config: the options as they are now.
        backbone: as chosen now.
        weights: that it starts from.
        machine: device, number format and versions, by name.
        fresh: forget what was interrupted, and start over.
        report: hears which it is.
    """
    identity = {
        "backbone": backbone.name,
        "weights": weights.sha256,
        "pictures": data.fingerprint(),
        "split": data.split_fingerprint(),
        "machine": dict(machine),
        "options": json.loads(json.dumps(asdict(config))),
    }
    if fresh:
        workspace.drop_unfinished_runs()
    runs = workspace.unfinished_runs()
    interrupted = {run: list(_changes(run, identity, data)) for run in runs}
    same = [run for run, changes in interrupted.items() if not changes]
    if same:
        run = max(same, key=lambda run: (Checkpoints(run / CHECKPOINTS).learned(), run.name))
        report.say(f"Going on with the interrupted training {run.name} (--fresh starts over).")
        _write_data(run, data)  # pictures that are gone, and bad files, may be others by now
        return run
    if interrupted:
        run = max(interrupted)
        changes = "; ".join(interrupted[run])
        report.say(f"Starting over, not going on with {run.name}, which is kept: {changes}.")
    run = workspace.new_run(backbone.name)
    _write_data(run, data)
    write_json(run / CONFIG, asdict(config))
    (run / CHECKPOINTS).mkdir()
    write_json(run / CHECKPOINTS / IDENTITY, identity)
    return run


def superseded(workspace: Workspace, run: Path) -> list[Path]:
    """Return the interrupted trainings that a finished one makes needless.

    Args:
        workspace: locked.
        run: finished, its checkpoints not yet deleted.
    """
    wanted = _purpose(run)
    others = (other for other in workspace.unfinished_runs() if other != run)
    return [other for other in others if wanted and _purpose(other) == wanted]


def _purpose(run: Path) -> list[Any]:
    """Return what a training was for, empty where it was interrupted before it said so."""
    identity = _identity(run) or {}
    return [identity[name] for name in _PURPOSE if name in identity]


def _identity(run: Path) -> dict[str, Any] | None:
    try:
        text = (run / CHECKPOINTS / IDENTITY).read_text(encoding="utf-8", errors=ENCODE_ERRORS)
        identity: dict[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return None
    return identity


def _write_data(run: Path, data: TrainingData) -> None:
    write_split(run, data.pictures, data.sides, data.previous)
    write_csv(run / "skipped.csv", ("path", "reason"), (astuple(bad) for bad in data.skipped))


def _changes(run: Path, now: Mapping[str, Any], data: TrainingData) -> Iterator[str]:
    """Yield what is different from an interrupted run, in words."""
    before = _identity(run)
    if before is None:
        yield "it was interrupted before it began"
        return
    if before["pictures"] != now["pictures"]:
        yield _picture_changes(run, data)
    elif before["split"] != now["split"]:
        yield "pictures changed sides or groups"
    then, options = _flat(before), _flat(now)
    for name in sorted(then.keys() | options.keys()):
        if name not in ("pictures", "split") and then.get(name) != options.get(name):
            yield f"{name} was {then.get(name)}, is {options.get(name)}"


def _picture_changes(run: Path, data: TrainingData) -> str:
    with (run / SPLIT).open(encoding="utf-8", errors=ENCODE_ERRORS, newline="") as file:
        then = {(row["path"], row["category"]) for row in csv.DictReader(file) if row["path"]}
    now = {(picture.name, picture.category) for picture in data.pictures}
    if then == now:
        return "the content of pictures changed"
    return f"{counted(len(now - then), 'picture')} came, {len(then - now)} went"


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as {"fine_tune.epochs": 8}."""
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            flat |= _flat(inner, "" if name in ("options", "machine") else f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = inner
    return flat
