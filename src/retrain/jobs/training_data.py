"""The pictures of a training: found, decoded, split, and what is odd about them said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrain.config import TrainConfig
from retrain.data.check import check
from retrain.data.images import PixelRules
from retrain.data.records import SIDES, Picture, Side, Skipped
from retrain.data.sources import open_data
from retrain.data.split import assign, group_pattern
from retrain.errors import DataError
from retrain.files import lines_digest
from retrain.jobs.skipped import tell_skipped
from retrain.progress import Reporter, counted
from retrain.run import PreviousSplit
from retrain.training.folds import Folds, assign_folds
from retrain.training.labelled import Labelled
from retrain.workspace import Workspace

FEW_PICTURES = 20  # a category; retrain.py warned below it too


@dataclass(frozen=True)
class TrainingData:
    """All pictures, training first, then validation, then test, so that a side is a slice.

    categories: in the order of the model's outputs.
    sides: by key.
    before: what the last run's split was.
    skipped: files that were left out.
    fold_count: of cross-validation.
    """

    pictures: Sequence[Picture]
    categories: tuple[str, ...]
    sides: Mapping[str, Side]
    before: PreviousSplit
    skipped: Sequence[Skipped]
    fold_count: int

    def labels(self) -> NDArray[np.int64]:
        """Return the index of each picture's category."""
        index = {category: i for i, category in enumerate(self.categories)}
        return np.array([index[picture.category] for picture in self.pictures], np.int64)

    @property
    def learned_from(self) -> Sequence[Picture]:
        """The training pictures, which come first."""
        return [p for p in self.pictures if self.sides[p.key] == "train"]

    @cached_property
    def groups(self) -> Sequence[str]:
        """What each picture belongs to, in the order of the pictures."""
        return [picture.key for picture in self.pictures]

    @cached_property
    def folds(self) -> Folds:
        """Which training pictures judge together; folds of the last run stand."""
        train = self.learned_from
        old = [self.before.folds.get(picture.sha256) for picture in train]
        groups = self.groups[: len(train)]
        return assign_folds(groups, self.labels()[: len(train)], self.fold_count, old)

    def by_side(self, features: NDArray[np.float32]) -> dict[Side, Labelled]:
        """Cut pictures, their features [n, d] and labels into sides; nothing is copied."""
        counts = Counter(self.sides[picture.key] for picture in self.pictures)
        labels, parts, start = self.labels(), {}, 0
        for side in SIDES:
            rows = slice(start, start + counts[side])
            parts[side] = Labelled(self.pictures[rows], features[rows], labels[rows])
            start = rows.stop
        return parts

    def fingerprint(self) -> str:
        """Return a sha256 of names, categories and contents, hex."""
        lines = [f"{p.name}\t{p.category}\t{p.sha256}" for p in self.pictures]
        return lines_digest(lines)

    def split_fingerprint(self) -> str:
        """Return a sha256 of the pictures' groups and sides, hex."""
        folds = [*self.folds.of_picture.tolist(), *[None] * len(self.pictures)]
        return lines_digest(
            f"{p.name}\t{p.key}\t{self.sides[p.key]}\t{fold}"
            for p, fold in zip(self.pictures, folds, strict=False)
        )


def read_training_data(
    workspace: Workspace, rules: PixelRules, config: TrainConfig, report: Reporter
) -> TrainingData:
    """Find, decode and split the pictures; say what is odd about them.

    Args:
        workspace: whose data folder is read; its earlier runs keep their split.
        rules: pictures are decoded as the network will want them.
        config: decides groups, what is held back, and the number of folds.
        report: hears warnings and counts, shows the progress.

    Raises:
        DataError: fewer than two categories can be learned.
        UsageError: the expression for groups is no regular expression.
    """
    group_by = config.split.group_by
    if group_by:
        group_pattern(group_by)
    dataset = open_data(workspace.data)
    for note in dataset.notes:
        report.warn(note)
    with report.bar("checking pictures", len(dataset.examples)) as advance:
        memory = workspace.bottlenecks / f"checked-{rules}.sqlite"
        pictures, skipped = check(dataset, rules, group_by, advance, memory)
    tell_skipped(skipped, report)
    before = workspace.previous_split()
    sides = assign(pictures, before.sides, config.split.hold_out, dataset.drawable)
    learnable = {p.category for p in pictures if sides[p.key] == "train"}
    categories = tuple(sorted(learnable))
    for category in sorted({p.category for p in pictures} - learnable):
        report.warn(
            f"Category {category!r} is left out: all its pictures are held back. Add some to "
            "learn from."
        )
    if len(categories) < 2:
        found = f"only {categories[0]!r}" if categories else "none that can be read"
        raise DataError(
            f"A classifier needs at least two categories with pictures. Received: {found} in "
            f"{workspace.data}. Add a folder of pictures for each further category."
        )
    pictures = [p for p in pictures if p.category in learnable]
    _report_twins(pictures, report)
    pictures.sort(key=lambda p: (SIDES.index(sides[p.key]), p.name))
    data = TrainingData(pictures, categories, sides, before, skipped, config.head.folds)
    _report_counts(data, report)
    return data


def _report_twins(pictures: Sequence[Picture], report: Reporter) -> None:
    """Warn of identical files that contradict each other or escape their group."""
    first: dict[str, Picture] = {}
    for picture in pictures:
        twin = first.setdefault(picture.sha256, picture)
        if twin.category != picture.category:
            report.warn(f"The same picture in two categories: {twin.name} and {picture.name}.")
        elif twin.key != picture.key:
            report.warn(f"The same picture in two groups: {twin.name} and {picture.name}.")


def _report_counts(data: TrainingData, report: Reporter) -> None:
    counts = Counter((p.category, data.sides[p.key]) for p in data.pictures)
    report.say(
        f"{counted(len(data.pictures), 'picture')} in "
        f"{counted(len(data.categories), 'category', 'categories')}, "
        f"{counted(len(data.skipped), 'file')} skipped."
    )
    filled = [side for side in SIDES if side in data.sides.values()]
    row = report.table(("category", *filled))
    for category in data.categories:
        row([category, *(str(counts[category, side]) for side in filled)])
    for category in data.categories:
        total = sum(counts[category, side] for side in SIDES)
        if total < FEW_PICTURES:
            report.warn(
                f"Category {category!r} has {counted(total, 'picture')}; with fewer than "
                f"{FEW_PICTURES} a model is rarely reliable."
            )
