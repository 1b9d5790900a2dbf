"""The learning rate finder as a job: the head first, then a sweep over the whole network."""

from dataclasses import dataclass
from pathlib import Path

from retrain.config import TrainConfig
from retrain.features import seconds_per_picture
from retrain.files import atomic_writer, machine_errors, output_file
from retrain.jobs.start import start
from retrain.plots import draw_sweep
from retrain.progress import Reporter, duration
from retrain.training.balance import category_weights
from retrain.training.head import fit_head
from retrain.training.ladder import build, untimed_plan
from retrain.training.lr_finder import Sweep
from retrain.training.stages import sweep_cost
from retrain.training.store import Stores
from retrain.training.tuning import Tuning
from retrain.workspace import Workspace


@dataclass(frozen=True)
class Found:
    """A sweep, where its plot is, and the rates whose proportion it kept."""

    sweep: Sweep
    path: Path
    rates: tuple[float, float]


def lr_find(root: Path, config: TrainConfig, output: Path | None, report: Reporter) -> Found:
    """Sweep the learning rate of fine-tuning on the pictures of a workspace; train nothing.

    Args:
        root: the workspace.
        config: as for a training; the sweep keeps the proportion of its learning rates.
        output: PNG to write; None for `lr-find.png` in the workspace.
        report: hears what happens.

    Raises:
        DataError, WeightsError, MachineError, UsageError: see `errors.py`.
    """
    workspace = Workspace(root.absolute())
    with workspace.lock(report.warn):
        path = output_file(output, workspace.root / "lr-find.png", workspace.data)
        opening = start(workspace, config, report)
        extracted = opening.extract(report)
    task = extracted.task()
    train = task.parts["train"]
    weights = category_weights(train.labels, len(task.categories), config.balance)
    head = fit_head(
        train, task.folds, task.groups, config.head, weights, report, varied=task.varied
    )
    folds = task.juries()
    tuning = Tuning.of(task, head, weights, folds[0] if folds else None)
    plan = untimed_plan(tuning)
    cost = sweep_cost(seconds_per_picture(extracted.forward, task.rules.size), plan.batch)
    report.say(f"Sweep: trying learning rates, about {duration(cost)}.")
    found = tuning.sweep(build(tuning, plan, Stores(workspace.bottlenecks, report.warn)), report)
    with machine_errors(path.parent), atomic_writer(path) as part:
        draw_sweep(found.rates, found.losses, found.suggestions(), part)
    return Found(found, path, plan.learning_rates)
