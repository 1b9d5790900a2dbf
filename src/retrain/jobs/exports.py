"""The exports of a training: which pictures they are compared on, and what came of it."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrain.config import TrainConfig
from retrain.data.records import SIDES
from retrain.data.stream import evenly
from retrain.export import float32, weighing
from retrain.export.parity import PICTURES as PARITY_PICTURES
from retrain.export.weighing import Sample
from retrain.files import write_text
from retrain.jobs import reference
from retrain.metrics import margins
from retrain.progress import Reporter
from retrain.run import Run
from retrain.training.crossfit import CrossFitted
from retrain.training.labelled import Labelled
from retrain.training.recipe import Learned
from retrain.training.task import Task

INT8_PICTURES = 5000  # on which int8 is weighed, at most: enough to see 0.1 %
# Of many thousands for validation; an export that is wrong shows on ten.
MOST_PARITY_PICTURES = 1000


@dataclass(frozen=True)
class Exports:
    """What came of the exports. checks: parity's findings. cascade: int8's, None without it."""

    checks: Mapping[str, Any]
    cascade: Mapping[str, Any] | None


def expected_seconds(task: Task, seconds_per_picture: float, config: TrainConfig) -> float:
    """Return about how long judging and exporting a fine-tuned model take.

    Args:
        task: the pictures.
        seconds_per_picture: of one forward pass.
        config: says which exports are wanted.
    """
    train, valid, test = (len(task.parts[side].labels) for side in SIDES)
    juries = task.juries()[:1]  # where there is time for more, theirs is counted there
    jury = sum(int((task.folds.of_picture == fold).sum()) for fold in juries)
    judging = 2 * seconds_per_picture * (jury + valid + test)
    compared = min(MOST_PARITY_PICTURES, max(PARITY_PICTURES, valid))
    seconds = judging + float32.expected_seconds(compared, seconds_per_picture)
    if config.reference:
        seconds += reference.expected_seconds(task, seconds_per_picture)
    if config.int8:
        weighed = min(INT8_PICTURES, train + valid)
        seconds += weighing.expected_seconds(weighed, seconds_per_picture, both=True)
    return seconds


def write_exports(
    learned: Learned,
    task: Task,
    run: Run,
    report: Reporter,
    *,
    seconds_per_picture: float,
    int8: bool,
) -> Exports:
    """Write the bundle's models and compare them with Keras'.

    Args:
        learned: the trained model.
        task: the pictures to compare on.
        run: where the bundle's models go.
        report: hears what happens.
        seconds_per_picture: of one forward pass, for the estimates.
        int8: whether to make and weigh the int8 model.
    """
    classifier = learned.classifier
    write_text(run.labels, "".join(f"{name}\n" for name in classifier.categories))
    train, valid, crossed = task.parts["train"], task.parts["validation"], learned.head.crossed
    paths = parity_pictures(train, valid, crossed)
    checks = float32.write_float32(
        classifier, run, paths, report, seconds_per_picture=seconds_per_picture
    )
    gc.collect()  # the graphs of a large backbone take gigabytes, and int8 needs its own
    cascade = None
    if int8 and checks["passed"]:
        sample = int8_sample(train, valid, crossed if learned.stage == "head" else None)
        cascade = weighing.weigh_int8(
            classifier, run, sample, report, seconds_per_picture=seconds_per_picture
        )
    return Exports(checks, cascade)


def parity_pictures(train: Labelled, valid: Labelled, crossed: CrossFitted) -> Sequence[Path]:
    """Return the user's validation pictures, and where these are few, training pictures besides.

    Half of all are training pictures that were decided most narrowly, where a small difference
    shows; the others are of all categories in turn.

    Args:
        train: the training pictures.
        valid: the user's validation pictures.
        crossed: what was said of training pictures by heads that had not seen them.
    """
    if len(valid.labels) >= PARITY_PICTURES:
        return evenly([picture.path for picture in valid.pictures], MOST_PARITY_PICTURES)
    rows = _narrow(crossed)[: PARITY_PICTURES // 2]
    chosen = [*rows, *_spread(train, set(rows))][: PARITY_PICTURES - len(valid.labels)]
    return [picture.path for picture in (*valid.pictures, *(train.pictures[i] for i in chosen))]


def _narrow(crossed: CrossFitted) -> list[int]:
    """Return rows of judged training pictures, the narrowest decision first."""
    judged = np.flatnonzero(crossed.judged)
    order = np.argsort(margins(crossed.logits[judged]), kind="stable")
    return [int(row) for row in judged[order]]


def _spread(train: Labelled, taken: set[int]) -> list[int]:
    """Return the other rows, the categories taking turns."""
    turns: dict[int, int] = {}
    ranked = []
    for row, label in enumerate(train.labels.tolist()):
        if row not in taken:
            turns[label] = turns.get(label, 0) + 1
            ranked.append((turns[label], label, row))
    return [row for _, _, row in sorted(ranked)]


def int8_sample(train: Labelled, valid: Labelled, crossed: CrossFitted | None) -> Sample:
    """Return pictures that are not for the test, with heads that had not seen them, if known.

    Args:
        train: the training pictures.
        valid: the user's validation pictures.
        crossed: what was said of training pictures; None for a fine-tuned model, which is not its.
    """
    paths = [picture.path for picture in (*train.pictures, *valid.pictures)]
    rows = evenly(range(len(paths)), INT8_PICTURES)
    chosen = [paths[i] for i in rows]
    if crossed is None:
        return Sample(chosen, None, {}, None)
    heads = {fold: (linear.kernel, linear.bias) for fold, linear in crossed.heads.items()}
    unseen = np.full(len(valid.labels), Sample.OWN)
    fold = np.concatenate([crossed.fold, unseen])[rows]
    features = np.concatenate([train.features, valid.features])[rows]
    return Sample(chosen, features, heads, fold)
