"""What a training leaves in its run for people: history, metrics, predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.data.records import HELD_OUT, Side
from retrain.evaluate.verdicts import (
    Verdict,
    verdicts,
    worst_first,
    write_confusion,
    write_predictions,
)
from retrain.evaluate.worst import draw_top_losses
from retrain.files import atomic_writer, write_csv, write_json, write_text
from retrain.metrics import Evaluation, calibration_error, log_loss, softmax
from retrain.plots import draw_history, save_png, svg
from retrain.run import Run
from retrain.training.calibration import Calibration
from retrain.training.checkpoints import EpochRow
from retrain.training.labelled import Labelled
from retrain.training.recipe import Learned
from retrain.training.schedules import rate_share
from retrain.training.stages import Task

CURVE_POINTS = 200  # of the learning rate's curve


def write_results(
    run: Run,
    task: Task,
    learned: Learned,
    evaluations: Mapping[Side, Evaluation | None],
    found: Sequence[Verdict],
) -> None:
    """Write history, metrics and predictions, and draw them.

    Args:
        run: whose files they are.
        task: what was to be learned.
        learned: the model and how it came about.
        evaluations: of each side.
        found: verdicts, the greatest loss first.
    """
    header = tuple(entry.name for entry in fields(EpochRow))
    rows = (
        [("" if cell is None else str(cell)) for cell in astuple(row)] for row in learned.history
    )
    write_csv(run.history, header, rows)
    _draw_history(run, learned)
    metrics: dict[str, Any] = {"categories": task.categories}
    for side, scores in evaluations.items():
        metrics[side] = scores.as_dict() if scores else None
    metrics["calibration"] = asdict(learned.calibration) | {
        side: _calibration(learned.logits[side], task.parts[side].labels, learned.calibration)
        for side, scores in evaluations.items()
        if scores
    }
    write_json(run.metrics, metrics)
    write_predictions(run.predictions, found)
    write_confusion(run.confusion, found)
    validation = [verdict for verdict in found if verdict.side == "validation"]
    draw_top_losses(validation, task.rules, run.top_losses)


def judge_held_back(
    parts: Mapping[Side, Labelled], categories: Sequence[str], learned: Learned
) -> list[Verdict]:
    """Return what the model says of validation and test pictures, the greatest loss first."""
    temperature = learned.calibration.temperature
    found = [
        verdict
        for side in HELD_OUT
        for verdict in verdicts(
            [picture.name for picture in parts[side].pictures],
            [picture.path for picture in parts[side].pictures],
            side,
            softmax(learned.logits[side], temperature),
            parts[side].labels,
            categories,
        )
    ]
    return worst_first(found)


def _draw_history(run: Run, learned: Learned) -> None:
    def lines(stage: str) -> dict[str, list[float]]:
        rows = [row for row in learned.history if row.stage == stage]
        training = {"training": [row.train_loss for row in rows]}
        held_out = {"validation": [row.valid_loss for row in rows]}
        return training | held_out if rows else {}

    penalties = [row.penalty for row in learned.history if row.penalty is not None]
    epochs, peak = (learned.plan.epochs, learned.plan.learning_rates[1]) if learned.plan else (0, 0)
    rates = [peak * rate_share(i, CURVE_POINTS) for i in range(CURVE_POINTS)]
    figure = draw_history(penalties, lines("head"), lines("fine_tune"), rates, epochs)
    with atomic_writer(run.history_plot) as part:
        save_png(figure, part)
    write_text(run.history_svg, svg(figure, "history"))


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
