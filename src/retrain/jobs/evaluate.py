"""How good a published model is on labelled pictures, and how two models compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrain.data.records import Side, Skipped
from retrain.errors import UsageError
from retrain.evaluate.found_again import shared
from retrain.evaluate.labelled_pictures import (
    KnownPictures,
    held_back,
    judge,
    labelled_folder,
    pictures_of,
)
from retrain.evaluate.verdicts import Verdict, verdicts, write_confusion, write_predictions
from retrain.evaluate.worst import draw_top_losses
from retrain.files import machine_errors, output_folder
from retrain.infer.model import Model
from retrain.metrics import Evaluation, evaluate, mcnemar
from retrain.progress import Reporter
from retrain.run import Run
from retrain.workspace import open_run


@dataclass(frozen=True)
class Evaluated:
    """A model's scores. verdicts: the greatest loss first. source: of the pictures, in words."""

    run: str
    source: str
    scores: Evaluation
    verdicts: Sequence[Verdict]
    skipped: Sequence[Skipped]

    @property
    def accuracy(self) -> float:
        """The share of pictures that were named correctly, 0..1."""
        return self.scores.accuracy

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy."""
        return self.scores.interval

    @property
    def confusion(self) -> tuple[tuple[int, ...], ...]:
        """Counts [k][k]: a row for each true category, a column for each guess."""
        return self.scores.confusion


@dataclass(frozen=True)
class Compared:
    """Two models on the same pictures.

    only_first, only_second: verdicts of that model on pictures that it alone names correctly.
    p_value: of McNemar's exact test.
    """

    runs: tuple[str, str]
    source: str
    scores: tuple[Evaluation, Evaluation]
    only_first: Sequence[Verdict]
    only_second: Sequence[Verdict]
    p_value: float
    skipped: Sequence[Skipped]


def evaluate_model(
    root: Path, data: Path | None, side: Side | None, output: Path | None, report: Reporter
) -> Evaluated:
    """Judge a model by labelled pictures; nothing is trained and TensorFlow is not needed.

    Args:
        root: the workspace, or a bundle.
        data: labelled folder; None for what the training held back.
        side: of the split, without `data`; None for test, or validation where test is empty.
        output: folder for CSVs of predictions and confusions and a sheet of the worst; or None.
        report: hears warnings, shows progress.

    Raises:
        BundleError: there is no model. DataError: there are no labelled pictures.
        MachineError: `output` cannot be written. UsageError: `data` together with `side`.
    """
    run = open_run(root)
    folder = output_folder(output) if output else None
    result = evaluate_with(Model(run, precision="float32"), data, side, report)
    if folder is not None:
        with machine_errors(folder):
            write_predictions(folder / run.predictions.name, result.verdicts)
            write_confusion(folder / run.confusion.name, result.verdicts)
            draw_top_losses(result.verdicts, run.rules, folder / run.top_losses.name)
    return result


def evaluate_with(
    model: Model, data: Path | None, side: Side | None, report: Reporter
) -> Evaluated:
    """Do what `evaluate_model` does with a model that is open, and write nothing."""
    pictures = _pictures(model.run, data, side, report)
    scores, found, skipped = _judge(pictures, model, report)
    return Evaluated(model.run.manifest.run, pictures.source, scores, found, skipped)


def compare(
    first: Path, second: Path, data: Path | None, side: Side | None, report: Reporter
) -> Compared:
    """Judge two models by the same pictures, such as neither has learned from.

    Args:
        first: run, bundle or workspace.
        second: another.
        data: labelled folder; None for pictures that both trainings held back.
        side: as for `evaluate_model`.
        report: as for `evaluate_model`.

    Raises:
        UsageError: the models know different categories, or share no pictures.
        BundleError, DataError: as for `evaluate_model`.
    """
    runs = [open_run(root) for root in (first, second)]
    labels = runs[0].manifest.labels
    if set(labels) != set(runs[1].manifest.labels):
        raise UsageError(
            "Models to compare must know the same categories. Received: "
            f"{', '.join(labels)} and {', '.join(runs[1].manifest.labels)}."
        )
    if data is None:
        pictures = _held_back_by_both(runs[0], runs[1], side, report)
    else:
        _one_source(data, side)
        pictures = labelled_folder(runs, data.absolute(), report)
    judged = [_judge(pictures, Model(run, precision="float32"), report) for run in runs]
    right = [{v.name for v in found if v.right} for _, found, _ in judged]
    only_first = [v for v in judged[0][1] if v.name in right[0] - right[1]]
    only_second = [v for v in judged[1][1] if v.name in right[1] - right[0]]
    return Compared(
        runs=(runs[0].manifest.run, runs[1].manifest.run),
        source=pictures.source,
        scores=(judged[0][0], judged[1][0]),
        only_first=only_first,
        only_second=only_second,
        p_value=mcnemar(len(only_first), len(only_second)),
        skipped=judged[0][2],
    )


def _pictures(run: Run, data: Path | None, side: Side | None, report: Reporter) -> KnownPictures:
    if data is None:
        return pictures_of(run, *held_back(run, side), report)
    _one_source(data, side)
    return labelled_folder([run], data.absolute(), report)


def _one_source(data: Path, side: Side | None) -> None:
    if side is not None:
        raise UsageError(
            "Pictures come from a labelled folder or from a side of the split, not from both. "
            f"Received: {data} and {side}.",
            setting="side",
        )


def _held_back_by_both(
    first: Run, second: Run, side: Side | None, report: Reporter
) -> KnownPictures:
    side, rows = held_back(first, side)
    # The same side: validation pictures had a say in the training that held them back.
    _, others = held_back(second, side)
    common = shared(rows, others)
    if not common:
        raise UsageError(
            "Two models are compared on pictures that both held back. Received: "
            f"{first.name} and {second.name}, which have none in common. Name a folder of labelled "
            "pictures.",
            setting="data",
        )
    return pictures_of(first, side, common, report)


def _judge(
    pictures: KnownPictures, model: Model, report: Reporter
) -> tuple[Evaluation, list[Verdict], Sequence[Skipped]]:
    judged = judge(pictures, model, report)
    names, paths = zip(*((e.name, e.path) for e in judged.examples), strict=True)
    labels = model.categories
    found = verdicts(
        names, paths, [pictures.side] * len(names), judged.probabilities, judged.labels, labels
    )
    scores = evaluate(judged.probabilities, judged.labels, labels)
    assert scores is not None  # judge() refuses to judge by nothing
    return scores, found, judged.skipped
