"""What a training leaves in its run for people: history, metrics, predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import PixelRules
from retrain.data.records import SIDES, Side
from retrain.evaluate.verdicts import (
    CONFUSION,
    PREDICTIONS,
    Verdict,
    verdicts,
    worst_first,
    write_confusion,
    write_predictions,
)
from retrain.evaluate.worst import TOP_LOSSES, draw_top_losses
from retrain.jobs.report import HISTORY_SVG
from retrain.metrics import Evaluation, calibration_error, log_loss, softmax
from retrain.plots import draw_history, save_png, svg
from retrain.train.calibration import Calibration
from retrain.train.checkpoints import EpochRow
from retrain.train.labelled import Labelled
from retrain.train.recipe import Learned
from retrain.train.schedules import rate_share
from retrain.workspace import atomic_writer, write_csv, write_json, write_text

CURVE_POINTS = 200  # of the learning rate's curve


def write_results(
    run: Path,
    categories: Sequence[str],
    parts: Mapping[Side, Labelled],
    evaluations: Mapping[Side, Evaluation | None],
    found: Sequence[Verdict],
    learned: Learned,
    rules: PixelRules,
) -> None:
    """Write history, metrics and predictions, and draw them.

    Args:
        run: its folder.
        categories: in the order of the outputs.
        parts: pictures and labels of each side.
        evaluations: of each side.
        found: verdicts, the greatest loss first.
        learned: the model and how it came about.
        rules: size and fit.
    """
    header = tuple(entry.name for entry in fields(EpochRow))
    rows = (
        [("" if cell is None else str(cell)) for cell in astuple(row)] for row in learned.history
    )
    write_csv(run / "history.csv", header, rows)
    _draw_history(run, learned)
    metrics: dict[str, Any] = {"categories": categories}
    for side, scores in evaluations.items():
        metrics[side] = scores.as_dict() if scores else None
    metrics["calibration"] = asdict(learned.calibration) | {
        side: _calibration(learned.logits[side], parts[side].labels, learned.calibration)
        for side, scores in evaluations.items()
        if scores
    }
    write_json(run / "metrics.json", metrics)
    write_predictions(run / PREDICTIONS, found)
    write_confusion(run / CONFUSION, found)
    validation = [verdict for verdict in found if verdict.side == "validation"]
    draw_top_losses(validation, rules, run / TOP_LOSSES)


def judge_held_back(
    parts: Mapping[Side, Labelled], categories: Sequence[str], learned: Learned
) -> list[Verdict]:
    """Return what the model says of validation and test pictures, the greatest loss first."""
    temperature = learned.calibration.temperature
    found = [
        verdict
        for side in SIDES[1:]
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


def _draw_history(run: Path, learned: Learned) -> None:
    def lines(stage: str) -> dict[str, list[float]]:
        rows = [row for row in learned.history if row.stage == stage]
        training = {"training": [row.train_loss for row in rows]}
        held_out = {"validation": [row.valid_loss for row in rows]}
        return training | held_out if rows else {}

    penalties = [row.penalty for row in learned.history if row.penalty is not None]
    epochs, peak = (learned.plan.epochs, learned.plan.learning_rates[1]) if learned.plan else (0, 0)
    rates = [peak * rate_share(i, CURVE_POINTS) for i in range(CURVE_POINTS)]
    figure = draw_history(penalties, lines("head"), lines("fine_tune"), rates, epochs)
    with atomic_writer(run / "history.png") as part:
        save_png(figure, part)
    write_text(run / HISTORY_SVG, svg(figure, "history"))


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
