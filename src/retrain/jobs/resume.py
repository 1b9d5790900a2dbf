"""Whether a training goes on where an interrupted one stopped, or starts over, and why."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from retrain.config import TrainConfig
from retrain.files import read_json, write_json
from retrain.jobs.start import Start
from retrain.jobs.training_data import TrainingData
from retrain.progress import Reporter, counted
from retrain.run import Run
from retrain.training.checkpoints import Checkpoints
from retrain.training.folds import UNJUDGED
from retrain.workspace import Workspace

_PURPOSE = ("pictures", "options", "backbone", "weights")  # other libraries lead to the same model


@dataclass(frozen=True)
class Identity:
    """What a training must have in common with an interrupted one to go on with it.

    backbone: its name.
    weights: the sha256 of the file that it starts from; None from scratch.
    pictures: a digest of names, categories and contents.
    split: a digest of the pictures' groups and sides.
    machine: device, number format and versions, by name.
    options: all settings.
    """

    backbone: str
    weights: str | None
    pictures: str
    split: str
    machine: Mapping[str, str]
    options: Mapping[str, Any]

    @classmethod
    def of(cls, opening: Start, config: TrainConfig, machine: Mapping[str, str]) -> "Identity":
        """Return the identity of a training that is about to begin."""
        return cls(
            backbone=opening.backbone.name,
            weights=opening.weights.sha256,
            pictures=opening.data.fingerprint(),
            split=opening.data.split_fingerprint(),
            machine=dict(machine),
            options=json.loads(json.dumps(config.as_dict())),
        )


def begin(opening: Start, identity: Identity, fresh: bool, report: Reporter) -> Run:
    """Return the run to work in: the interrupted one if all is as it was, else a new one.

    Args:
        opening: the locked workspace and its pictures.
        identity: of the training as it is now.
        fresh: whether to forget what was interrupted, and to start over.
        report: hears which it is.
    """
    workspace, data, now = opening.workspace, opening.data, asdict(identity)
    if fresh:
        workspace.drop_unfinished_runs()
    runs = workspace.unfinished_runs()
    interrupted = {run: list(_changes(run, now, data)) for run in runs}
    same = [run for run, changes in interrupted.items() if not changes]
    if same:
        run = max(same, key=lambda run: (Checkpoints(run.checkpoints).learned(), run.name))
        report.say(f"Going on with the interrupted training {run.name}.")
        _write_data(run, data)  # pictures that are gone, and bad files, may be others by now
        return run
    if interrupted:
        run = max(interrupted, key=lambda run: run.name)
        changes = "; ".join(interrupted[run])
        report.say(f"Starting over, not going on with {run.name}, which is kept: {changes}.")
    run = workspace.new_run(identity.backbone)
    _write_data(run, data)
    write_json(run.config, identity.options)
    run.checkpoints.mkdir()
    write_json(run.identity, now)
    return run


def superseded(workspace: Workspace, run: Run) -> list[Run]:
    """Return the interrupted trainings that a finished one makes needless.

    Args:
        workspace: locked.
        run: finished, its checkpoints not yet deleted.
    """
    wanted = _purpose(run)
    others = (other for other in workspace.unfinished_runs() if other != run)
    return [other for other in others if wanted and _purpose(other) == wanted]


def _purpose(run: Run) -> list[Any]:
    """Return what a training was for, empty where it was interrupted before it said so."""
    identity = read_json(run.identity)
    return [identity[name] for name in _PURPOSE if name in identity]


def _write_data(run: Run, data: TrainingData) -> None:
    train, folds = data.learned_from, data.folds.of_picture.tolist()
    judged = {p.sha256: fold for p, fold in zip(train, folds, strict=True) if fold != UNJUDGED}
    run.write_split(data.pictures, data.sides, judged, data.joined.sets, data.before)
    run.write_related(data.relations, data.pictures)
    run.write_skipped(data.skipped)


def _changes(run: Run, now: Mapping[str, Any], data: TrainingData) -> Iterator[str]:
    """Yield what is different from an interrupted run, in words."""
    before = read_json(run.identity)
    if not before:
        yield "it was interrupted before it began"
        return
    if before["pictures"] != now["pictures"]:
        yield _picture_changes(run, data)
    elif before["split"] != now["split"]:
        yield "pictures changed sides, groups or folds"
    then, options = _flat(before), _flat(now)
    for name in sorted(then.keys() | options.keys()):
        if name not in ("pictures", "split") and then.get(name) != options.get(name):
            yield f"{name} was {then.get(name)}, is {options.get(name)}"


def _picture_changes(run: Run, data: TrainingData) -> str:
    then = {(row.name, row.category) for row in run.read_split()}
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
