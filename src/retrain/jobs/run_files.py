"""What a training leaves in its run for people: history, metrics, predictions."""

from dataclasses import asdict, astuple, fields

import numpy as np

from retrain.data.records import HELD_OUT
from retrain.evaluate.verdicts import (
    write_confusion,
    write_predictions,
)
from retrain.evaluate.worst import draw_top_losses
from retrain.files import atomic_writer, write_csv, write_json, write_text
from retrain.jobs.judging import Judgement
from retrain.plots import draw_history, save_png, svg
from retrain.run import Run
from retrain.training.head import Head
from retrain.training.history import EpochRow
from retrain.training.recipe import Learned
from retrain.training.schedules import rate_share
from retrain.training.task import Task


def write_results(run: Run, task: Task, learned: Learned, judgement: Judgement) -> None:
    """Write history, metrics and predictions, and draw them.

    Args:
        run: whose files they are.
        task: what was to be learned.
        learned: the model and how it came about.
        judgement: how good it is.
    """
    header = tuple(entry.name for entry in fields(EpochRow))
    rows = (
        [("" if cell is None else str(cell)) for cell in astuple(row)] for row in learned.history
    )
    write_csv(run.history, header, rows)
    _draw_history(run, learned)
    metrics = {
        "categories": task.categories,
        **judgement.as_dict(task.categories),
        "calibration": asdict(learned.calibration),
    }
    write_json(run.metrics, metrics)
    found = judgement.verdicts
    write_predictions(run.out_of_fold, [v for v in found if v.side not in HELD_OUT])
    write_predictions(run.predictions, [v for v in found if v.side in HELD_OUT])
    write_confusion(run.confusion, found)
    draw_top_losses(found, task.rules, run.top_losses)
    if learned.stage == "head":
        _write_fold_heads(run, learned.head)


def _write_fold_heads(run: Run, head: Head) -> None:
    """Keep the heads of the folds, so that heat maps show what led them astray."""
    arrays = {}
    for fold, linear in head.crossed.heads.items():
        arrays[f"kernel{fold}"] = linear.kernel.astype(np.float16)
        arrays[f"bias{fold}"] = linear.bias.astype(np.float16)
    with atomic_writer(run.fold_heads) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _draw_history(run: Run, learned: Learned) -> None:
    def lines(stage: str) -> dict[str, list[float]]:
        rows = [row for row in learned.history if row.stage == stage]
        training = {"training": [row.train_loss for row in rows]}
        judged = [row.valid_loss for row in rows if row.valid_loss is not None]
        held_out = {"validation": judged}
        return training | held_out if rows else {}

    penalties = [row.penalty for row in learned.history if row.penalty is not None]
    tuned = (row for row in learned.history if row.stage == "fine_tune")
    steps = [row.step for row in tuned if row.step is not None]
    rates: list[float] = []
    if learned.progress:
        plan, peak = learned.progress.plan, learned.progress.plan.learning_rates[1]
        taken = range(learned.progress.step)
        rates = [peak * rate_share(step, plan.total_at(step)) for step in taken]
    figure = draw_history(penalties, lines("head"), steps, lines("fine_tune"), rates)
    with atomic_writer(run.history_plot) as part:
        save_png(figure, part)
    write_text(run.history_svg, svg(figure, "history"))
