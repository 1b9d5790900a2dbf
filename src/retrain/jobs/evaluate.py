"""How good a published model is on labelled pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrain.data.records import Side, Skipped
from retrain.errors import UsageError
from retrain.evaluate.labelled_pictures import (
    Judged,
    KnownPictures,
    held_back,
    judge,
    labelled_folder,
    pictures_of,
)
from retrain.evaluate.verdicts import (
    CONFUSION,
    PREDICTIONS,
    Verdict,
    evaluate_verdicts,
    read_predictions,
    verdicts,
    worst_first,
    write_confusion,
    write_predictions,
)
from retrain.evaluate.worst import draw_top_losses
from retrain.files import MARKS, machine_errors, output_folder, refuse_foreign, table_mark
from retrain.infer.model import Model
from retrain.intervals import share_of_groups, with_share
from retrain.metrics import Evaluation, evaluate
from retrain.progress import Reporter
from retrain.run import CROSS_FITTED, FINE_TUNED, ONE_FOLD, Run
from retrain.workspace import open_run

ANSWERS = "pictures of its training, by heads or models that had not learned from them"


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


def evaluate_model(
    root: Path, data: Path | None, side: Side | None, output: Path | None, report: Reporter
) -> Evaluated:
    """Judge a model by labelled pictures; nothing is trained and TensorFlow is not needed.

    Args:
        root: the workspace, or a bundle.
        data: labelled folder; None for pictures of the training.
        side: of the split, without `data`; None for what was said of training pictures by who had
            not learned from them, or where there is nothing of that kind, for test or validation.
        output: folder for CSVs of predictions and confusions and a sheet of the worst; or None.
        report: hears warnings, shows progress.

    Raises:
        BundleError: there is no model. DataError: there are no labelled pictures.
        MachineError: `output` cannot be written. UsageError: `data` together with `side`, or a
            file of the user's is in the way.
    """
    run = open_run(root)
    folder = _folder(output, run) if output else None
    result = evaluate_with(Model(run, precision="float32"), data, side, report)
    if folder is not None:
        with machine_errors(folder):
            write_predictions(folder / run.predictions.name, result.verdicts)
            write_confusion(folder / run.confusion.name, result.verdicts)
            draw_top_losses(result.verdicts, run.rules, folder / run.top_losses.name)
    return result


def _folder(output: Path, run: Run) -> Path:
    """Return the folder to write to, in which nothing but earlier files of ours is replaced."""
    folder = output_folder(output, run.data)
    if Run(folder).is_finished:
        raise UsageError(
            f"What a training wrote is not overwritten. Received: {folder}, a run. Name another "
            "folder.",
            setting="output",
        )
    tables = {folder / run.predictions.name: PREDICTIONS, folder / run.confusion.name: CONFUSION}
    ours = all(path.exists() for path in tables)
    for path, header in tables.items():
        refuse_foreign(path, table_mark(header))
    if not ours:  # an earlier version left no mark in the sheet beside them
        refuse_foreign(folder / run.top_losses.name, MARKS[".png"])
    return folder


def evaluate_with(
    model: Model, data: Path | None, side: Side | None, report: Reporter
) -> Evaluated:
    """Do what `evaluate_model` does with a model that is open, and write nothing."""
    if data is None and side is None and (found := out_of_fold(model.run)):
        return _as_found_then(model.run, found)
    pictures = _pictures(model.run, data, side, report)
    scores, found, judged = judge_with(pictures, model, report)
    return Evaluated(model.run.manifest.run, pictures.source, scores, found, judged.skipped)


def out_of_fold(run: Run) -> list[Verdict]:
    """Return what a training said of its own pictures by who had not learned from them.

    Empty for an older version's, and where the user's validation pictures judged instead.
    """
    return read_predictions(run.out_of_fold, run.data) if run.out_of_fold.exists() else []


def _as_found_then(run: Run, found: Sequence[Verdict]) -> Evaluated:
    """Return what the training itself found on pictures that were not learned from."""
    found = worst_first(found)
    scores = evaluate_verdicts(found, run.manifest.labels)
    names = [CROSS_FITTED] if run.manifest.kept == "head" else [FINE_TUNED, ONE_FOLD]
    metrics = run.manifest.metrics
    figures = next((metrics[name] for name in names if name in metrics), None)
    if figures and figures["pictures"] == len(found):
        # Their interval allows for groups, and for the choice of the penalty.
        low, high = figures["interval_95"]
        scores = replace(
            scores,
            accuracy=figures["accuracy"],
            interval=(low, high),
            log_loss=figures["log_loss"],
        )
    return Evaluated(run.manifest.run, ANSWERS, scores, found, ())


def _pictures(run: Run, data: Path | None, side: Side | None, report: Reporter) -> KnownPictures:
    if data is None:
        return pictures_of(run, *held_back(run, side), report)
    one_source(data, side)
    return labelled_folder([run], data.absolute(), report)


def one_source(data: Path, side: Side | None) -> None:
    """Refuse a side of the split together with a folder of labelled pictures.

    Raises:
        UsageError: both are given.
    """
    if side is not None:
        raise UsageError(
            "Pictures come from a labelled folder or from a side of the split, not from both. "
            f"Received: {data} and {side}.",
            setting="side",
        )


def judge_with(
    pictures: KnownPictures, model: Model, report: Reporter
) -> tuple[Evaluation, list[Verdict], Judged]:
    """Return a model's scores on pictures, its verdicts, and what they were made of."""
    judged = judge(pictures, model, report)
    names, paths = zip(*((e.name, e.path) for e in judged.examples), strict=True)
    labels = model.categories
    found = verdicts(
        names, paths, [pictures.side] * len(names), judged.probabilities, judged.labels, labels
    )
    scores = evaluate(judged.probabilities, judged.labels, labels)
    assert scores is not None  # judge() refuses to judge by nothing
    if any(example.group for example in judged.examples):
        right = judged.probabilities.argmax(axis=1) == judged.labels
        scores = with_share(scores, share_of_groups(right, judged.groups))
    return scores, found, judged
