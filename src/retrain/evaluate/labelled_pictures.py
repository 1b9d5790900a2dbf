"""Labelled pictures to judge a model by: what a training held back, or a folder of the user's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrain.data.corrections import CORRECTIONS, Corrections, read_corrections
from retrain.data.images import BadPicture
from retrain.data.origins import Origin
from retrain.data.records import Example, Side, Skipped
from retrain.data.sources import open_data
from retrain.data.stream import ordered
from retrain.errors import DataError, RetrainError
from retrain.evaluate.found_again import digest, find_again
from retrain.files import read_csv
from retrain.infer.model import Model
from retrain.progress import Reporter, counted
from retrain.run import Run
from retrain.split_rows import SplitRow, content_of

AHEAD = 64  # files in flight while they are compared


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

    @property
    def groups(self) -> Sequence[str]:
        """What each picture belongs to: what a training or the user said, else itself, n."""
        return [e.group or f"picture:{e.name}" for e in self.examples]


def held_back(run: Run, side: Side | None) -> tuple[Side, list[SplitRow]]:
    """Return one side of the split that a model was trained with.

    Args:
        run: whose split is read.
        side: None for test, or for validation where test is empty.

    Raises:
        DataError: there is no split, or nothing on that side.
    """
    rows = run.read_split()
    if side is None:
        side = "test" if any(row.side == "test" for row in rows) else "validation"
    chosen = [row for row in rows if row.side == side]
    if not chosen:
        raise DataError(
            f"{run.name} must have held back {side} pictures. Received: none in {run.split}. "
            "Name a folder of labelled pictures.",
            setting="data",
        )
    return side, chosen


def pictures_of(run: Run, side: Side, rows: Sequence[SplitRow], report: Reporter) -> KnownPictures:
    """Return pictures that a training held back, as they lie in its workspace now.

    Args:
        run: whose pictures they are.
        side: of all rows.
        rows: of its split.
        report: shows progress.

    Raises:
        DataError: the run does not lie in a workspace, or none of the pictures is there.
    """
    data = run.data
    if data is None:
        raise DataError(
            f"The pictures that {run.name} was trained with must lie in its workspace's data "
            f"folder. Received: {run.folder}. Name a folder of labelled pictures.",
            setting="data",
        )
    found = find_again(rows, data, report)
    corrections = read_corrections(data.parent / CORRECTIONS)
    rows = _as_corrected(rows, corrections, run.manifest.labels)
    examples = []
    categories = None
    for row in rows:
        path = found.paths.get(row.name)
        if path == data / row.name:
            examples.append(Example(path, row.name, row.category, side, row.group))
        elif path:  # moved, perhaps to the folder of the category where it belongs
            categories = categories if categories is not None else _categories(data, run)
            name = path.relative_to(data).as_posix()
            category = corrections.of(row.sha256).category or categories.get(name, row.category)
            examples.append(Example(path, name, category, side, row.group))
    if not examples:
        raise DataError(
            f"{run.name} must have {side} pictures to be judged by. Received: none in {data}. "
            "Name a folder of labelled pictures.",
            setting="data",
        )
    skipped = [Skipped(name, reason) for name, reason in found.missing.items()]
    return KnownPictures(f"the {side} pictures of its training", side, examples, skipped)


def _as_corrected(
    rows: Sequence[SplitRow], corrections: Corrections, known: Sequence[str]
) -> list[SplitRow]:
    """Lay corrections that came since over a split; what the model cannot know is left out."""
    said = [(row, corrections.of(row.sha256)) for row in rows]
    return [
        replace(row, category=one.category or row.category)
        for row, one in said
        if not one.left_out and (one.category or row.category) in known
    ]


def _categories(data: Path, run: Run) -> dict[str, str]:
    """Return the category of each file as it lies now, by name, if the model knows it."""
    try:
        examples = open_data(data).examples
    except RetrainError:  # no layout that could be trained on; the split's categories stand
        return {}
    return {e.name: e.category for e in examples if e.category in run.manifest.labels}


def labelled_folder(runs: Sequence[Run], folder: Path, report: Reporter) -> KnownPictures:
    """Return the pictures of a folder laid out like a workspace's data, of known categories.

    Args:
        runs: of the same categories; their training pictures are counted with a warning.
        folder: category folders, a ready-made split, or labels.csv.
        report: hears what is odd, shows progress.

    Raises:
        DataError: there is no picture of a category that the models know.
    """
    dataset = open_data(folder)
    for note in dataset.notes:
        report.warn(note)
    labels = runs[0].manifest.labels
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
    if any(origin.varies for origin in dataset.origins.values()):
        examples = _without_variations(examples, dataset.origins, report)
    if not examples:
        raise DataError(
            f"Labelled pictures must be of the model's categories: {', '.join(labels)}. "
            f"Received: {', '.join(sorted(unknown))}.",
            setting="data",
        )
    _warn_of_learned(runs, examples, report)
    return KnownPictures(str(folder), "", examples, skipped)


def _without_variations(
    examples: Sequence[Example], origins: Mapping[str, Origin], report: Reporter
) -> list[Example]:
    """Leave out what `vary` made of pictures: it only teaches."""
    contents = ordered(_digest, (e.path for e in examples), ahead=AHEAD)
    known = (origins.get(sha256) for sha256 in contents)
    kept = [e for e, o in zip(examples, known, strict=True) if o is None or not o.varies]
    if left := len(examples) - len(kept):
        are = counted(left, "variation is", "variations are")
        report.say(f"{are} left out: variations only teach.")
    return kept


def _warn_of_learned(runs: Sequence[Run], examples: Sequence[Example], report: Reporter) -> None:
    """Say how many pictures the models were trained with, told by their content."""
    learned = {run.name: _learned(run) for run in runs}
    if not any(learned.values()):
        return
    contents: Counter[str] = Counter()
    with report.bar("comparing with training pictures", len(examples)) as advance:
        for sha256 in ordered(_digest, (e.path for e in examples), ahead=AHEAD):
            contents[sha256] += 1
            advance(1)
    for name, known in learned.items():
        count = sum(contents[sha256] for sha256 in known)
        if count:
            report.warn(
                f"{count} of {counted(len(examples), 'picture')} were used to train "
                f"{name}: what follows is better than it will be on new ones."
            )


def _learned(run: Run) -> set[str]:
    """Return the sha256 of each picture that a model has learned from, as far as it is known."""
    data = run.data
    learned = {content_of(row) for row in read_csv(run.split) if row.get("side") == "train"}
    if "" in learned and data is not None:  # of groups, by an older version
        rows = (row for row in run.read_split() if row.side == "train" and not row.sha256)
        learned |= {_digest(data / row.name) for row in rows}
    return learned - {""}


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except BadPicture:
        return ""


def judge(pictures: KnownPictures, model: Model, report: Reporter) -> Judged:
    """Let a model guess labelled pictures; those that cannot be read join the skipped.

    Raises:
        DataError: none can be read.
    """
    rows, seen, bad = [], [], list(pictures.skipped)
    with report.bar("guessing", len(pictures.examples)) as advance:
        guesses = model.guess_all(example.path for example in pictures.examples)
        for example, found in zip(pictures.examples, guesses, strict=True):
            if found.probabilities is None:
                bad.append(Skipped(example.name, found.error or ""))
            else:
                rows.append(found.probabilities)
                seen.append(example)
            advance(1)
    if not seen:
        raise DataError(
            f"Pictures to judge a model by must be readable. Received: none in {pictures.source}."
        )
    truth = np.array([model.categories.index(example.category) for example in seen], np.int64)
    return Judged(seen, bad, truth, np.stack(rows))
