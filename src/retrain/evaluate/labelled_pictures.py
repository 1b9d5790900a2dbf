"""Labelled pictures to judge a model by: what a training held back, or a folder of the user's."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrain.bundle import Bundle
from retrain.data.images import BadPicture, read_bytes
from retrain.data.records import Example, Side, Skipped
from retrain.data.sources import open_data
from retrain.data.split import GROUP
from retrain.errors import DataError
from retrain.infer.engine import Lanes
from retrain.infer.guess import guess
from retrain.progress import Reporter, counted
from retrain.workspace import SPLIT, data_of, read_csv


@dataclass(frozen=True)
class KnownPictures:
    """Pictures whose category is known. source: where they come from, in words.

    side: of the split, "" for a folder.
    """

    source: str
    side: Side | Literal[""]
    examples: Sequence[Example]
    skipped: Sequence[Skipped]


@dataclass(frozen=True)
class Judged:
    """Those pictures that a model could read, and what it says of them.

    labels: int [n]. probabilities: float32 [n, k] in the order of the model's categories.
    """

    examples: Sequence[Example]
    skipped: Sequence[Skipped]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def held_back(bundle: Bundle, side: Side | None) -> KnownPictures:
    """Return the pictures of one side of the split that a model was trained with.

    Args:
        bundle: a run in its workspace.
        side: None for test, or for validation where test is empty.

    Raises:
        DataError: its split or its pictures are not there.
    """
    run = bundle.files.folder
    data = data_of(run)
    if data is None or not (run / SPLIT).is_file():
        raise DataError(
            f"The pictures that {run.name} was trained with must lie in its workspace's data "
            f"folder, and its {SPLIT} beside its manifest. Received: {run}. Name labelled pictures "
            "with --data."
        )
    rows = [row for row in read_csv(run / SPLIT) if row["path"]]
    filled = {row["side"] for row in rows}
    side = side or ("test" if "test" in filled else "validation")
    examples, skipped = [], []
    for row in rows:
        path = data / row["path"]
        if row["side"] != side:
            continue
        if os.access(path, os.R_OK):
            examples.append(Example(path, row["path"], row["category"], side))
        else:
            skipped.append(Skipped(row["path"], "no longer there; train again to split anew"))
    if not examples:
        raise DataError(
            f"{run.name} must have pictures for {side} to be judged by. Received: none in {data}. "
            "Name labelled pictures with --data."
        )
    return KnownPictures(f"the {side} pictures of its training", side, examples, skipped)


def labelled_folder(bundle: Bundle, folder: Path, report: Reporter) -> KnownPictures:
    """Return the pictures of a folder laid out like a workspace's data, of known categories.

    Args:
        bundle: whose categories are known, and whose training pictures are counted with a warning.
        folder: category folders, a ready-made split, or labels.csv.
        report: hears what is odd.

    Raises:
        DataError: there is no picture of a category that the model knows.
    """
    dataset = open_data(folder)
    for note in dataset.notes:
        report.warn(note)
    labels = bundle.manifest.labels
    unknown = Counter(e.category for e in dataset.examples if e.category not in labels)
    skipped = [
        *dataset.skipped,
        *(
            Skipped(e.name, f"the model does not know the category {e.category!r}")
            for e in dataset.examples
            if e.category in unknown
        ),
    ]
    examples = [e for e in dataset.examples if e.category not in unknown]
    if not examples:
        raise DataError(
            f"--data must hold categories of the model: {', '.join(labels)}. "
            f"Received: {', '.join(sorted(unknown))}."
        )
    known = _learned_from(bundle, examples)
    if known:
        report.warn(
            f"{known} of {counted(len(examples), 'picture')} were used to train "
            f"{bundle.manifest.run}: what follows is better than it will be on new ones."
        )
    return KnownPictures(str(folder), "", examples, skipped)


def judge(
    pictures: KnownPictures, bundle: Bundle, engine: Lanes, threads: int, report: Reporter
) -> Judged:
    """Let a model guess labelled pictures; those that cannot be read join the skipped.

    Raises:
        DataError: none can be read.
    """
    labels = bundle.manifest.labels
    rows, seen, bad = [], [], list(pictures.skipped)
    with report.bar("guessing", len(pictures.examples)) as advance:
        paths = [example.path for example in pictures.examples]
        guesses = guess(engine, labels, bundle.rules, paths, threads)
        for example, found in zip(pictures.examples, guesses, strict=True):
            if found.error:
                bad.append(Skipped(example.name, found.error))
            else:
                scores = dict(found.scores)
                rows.append(np.array([scores[label] for label in labels], np.float32))
                seen.append(example)
            advance(1)
    if not seen:
        raise DataError(
            f"Pictures to judge a model by must be readable. Received: none in {pictures.source}."
        )
    truth = np.array([labels.index(example.category) for example in seen], np.int64)
    return Judged(seen, bad, truth, np.stack(rows))


def _learned_from(bundle: Bundle, examples: Sequence[Example]) -> int:
    """Return how many pictures a model was trained with, told by their content."""
    run = bundle.files.folder
    data = data_of(run)
    rows = [row for row in read_csv(run / SPLIT) if row["side"] == "train"]
    learned = {row["key"] for row in rows}  # the content's sha256, but for groups
    if data is not None:
        grouped = (row["path"] for row in rows if row["path"] and row["key"].startswith(GROUP))
        learned |= {_digest(data / name) for name in grouped}
    return sum(_digest(example.path) in learned - {""} for example in examples)


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except BadPicture:
        return ""
