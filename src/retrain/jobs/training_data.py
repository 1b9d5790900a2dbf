"""The pictures of a training: found, decoded, split, and what is odd about them said."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrain.config import SplitConfig, TrainConfig
from retrain.data.check import check
from retrain.data.corrections import Corrected, correct, read_corrections
from retrain.data.groups import Joined, join
from retrain.data.images import PixelRules
from retrain.data.records import SIDES, Picture, Side, Skipped
from retrain.data.relations import Relation
from retrain.data.returned import returned_pictures, with_returned
from retrain.data.sources import open_data
from retrain.data.split import assign, expect_groups, group_pattern
from retrain.errors import DataError
from retrain.files import lines_digest, read_json
from retrain.jobs.skipped import tell_skipped
from retrain.jobs.told import report_corrections, report_counts, report_groups, report_twins
from retrain.progress import Reporter, counted
from retrain.run import Run
from retrain.split_rows import PreviousSplit
from retrain.training.folds import Folds, assign_folds
from retrain.training.labelled import Labelled, Varied
from retrain.workspace import Workspace


@dataclass(frozen=True)
class TrainingData:
    """All pictures, training first, then validation, then test, so that a side is a slice.

    categories: in the order of the model's outputs.
    sides: by key.
    joined: which keys belong together.
    relations: what was found and what earlier runs knew, refused pairs included.
    gathered: what it was made of.
    fold_count: of cross-validation.
    varied: variations of training pictures; these only teach, and are not among the pictures.
    """

    pictures: Sequence[Picture]
    categories: tuple[str, ...]
    sides: Mapping[str, Side]
    joined: Joined
    relations: Sequence[Relation]
    gathered: "Gathered"
    fold_count: int
    varied: Sequence[Picture] = ()

    @property
    def skipped(self) -> Sequence[Skipped]:
        """Files that were left out."""
        return self.gathered.skipped

    @property
    def before(self) -> PreviousSplit:
        """What the last run's split was."""
        return self.gathered.before

    def labels(self) -> NDArray[np.int64]:
        """Return the index of each picture's category."""
        index = {category: i for i, category in enumerate(self.categories)}
        return np.array([index[picture.category] for picture in self.pictures], np.int64)

    def side_counts(self) -> Counter[tuple[str, Side]]:
        """Return the number of pictures by category and side."""
        return Counter((picture.category, self.sides[picture.key]) for picture in self.pictures)

    @property
    def learned_from(self) -> Sequence[Picture]:
        """The training pictures, which come first."""
        return [p for p in self.pictures if self.sides[p.key] == "train"]

    @cached_property
    def groups(self) -> Sequence[str]:
        """What each picture belongs to, in the order of the pictures."""
        return [self.joined.sets.get(picture.key, picture.key) for picture in self.pictures]

    @cached_property
    def folds(self) -> Folds:
        """Which training pictures judge together; folds of the last run stand."""
        train = self.learned_from
        old = [self.before.folds.get(picture.sha256) for picture in train]
        groups = self.groups[: len(train)]
        return assign_folds(groups, self.labels()[: len(train)], self.fold_count, old)

    def by_side(self, features: NDArray[np.float32]) -> dict[Side, Labelled]:
        """Cut pictures, their features [n, d] and labels into sides; no features are copied.

        Each picture has the key of the set that it belongs to.
        """
        pictures = [
            replace(p, key=group) for p, group in zip(self.pictures, self.groups, strict=True)
        ]
        counts = Counter(self.sides[picture.key] for picture in self.pictures)
        labels, parts, start = self.labels(), {}, 0
        for side in SIDES:
            rows = slice(start, start + counts[side])
            parts[side] = Labelled(pictures[rows], features[rows], labels[rows])
            start = rows.stop
        return parts

    def made_of_training(self, features: NDArray[np.float32]) -> Varied | None:
        """Put variations together with their features [m, d]; None where there are none."""
        if not self.varied:
            return None
        rows = {picture.sha256: row for row, picture in enumerate(self.learned_from)}
        return Varied(self.varied, features, np.array([rows[_of(p)] for p in self.varied], np.intp))

    def fingerprint(self) -> str:
        """Return a sha256 of names, categories and contents, hex."""
        every = [*self.pictures, *self.varied]
        lines = [f"{p.name}\t{p.category}\t{p.sha256}" for p in every]
        return lines_digest(lines)

    def split_fingerprint(self) -> str:
        """Return a sha256 of the pictures' groups and sides, hex."""
        folds = [*self.folds.of_picture.tolist(), *[None] * len(self.pictures)]
        return lines_digest(
            f"{p.name}\t{group}\t{self.sides[p.key]}\t{fold}"
            for p, group, fold in zip(self.pictures, self.groups, folds, strict=False)
        )


@dataclass(frozen=True)
class Gathered:
    """All pictures that decode, before they are split.

    corrected: the pictures in the order of their names, and what corrections changed of them.
    varied: variations of them, which only teach.
    skipped: files that were left out.
    drawable: whether the user left the test to be drawn.
    before: what the last run's split was.
    """

    corrected: Corrected
    skipped: Sequence[Skipped]
    drawable: bool
    before: PreviousSplit
    varied: Sequence[Picture] = ()

    @property
    def pictures(self) -> Sequence[Picture]:
        """The pictures, with the categories that people corrected."""
        return self.corrected.pictures


def gather(
    workspace: Workspace,
    rules: PixelRules,
    config: TrainConfig,
    report: Reporter,
    remembered: bool = False,
) -> Gathered:
    """Find and decode the pictures, lay corrections over them, and say what is odd about them.

    Args:
        workspace: whose data folder and corrections are read; its earlier runs keep their split.
        rules: pictures are decoded as the network will want them.
        config: decides groups.
        report: hears warnings, shows the progress.
        remembered: whether the expression for groups is of an earlier training; then it need not
            find any.

    Raises:
        DataError: there are no pictures, corrections.csv is another table, or the expression for
            groups finds none.
        UsageError: the expression for groups is no regular expression.
    """
    group_by = config.split.group_by
    if group_by:
        group_pattern(group_by)
    corrections = read_corrections(workspace.corrections)
    dataset = open_data(workspace.data, config.labels_from)
    if returned := returned_pictures(workspace.returned, workspace.data):
        came_back = f"{counted(len(returned), 'picture')} in {workspace.returned} came back"
        if config.returned:
            dataset = with_returned(dataset, returned)
            report.say(f"{came_back} and will be learned from, too.")
        else:
            report.say(f"{came_back} from guesses; --returned learns from them, too.")
    elif config.returned:
        report.say(
            f"There are no returned pictures in {workspace.returned}; --returned changes nothing."
        )
    for note in dataset.notes:
        report.warn(note)
    if group_by and not remembered:
        expect_groups([example.name for example in dataset.examples], group_by)
    with report.bar("checking pictures", len(dataset.examples)) as advance:
        memory = workspace.bottlenecks / f"checked-{rules}.sqlite"
        every, skipped = check(dataset, rules, group_by, advance, memory)
    tell_skipped(skipped, report)
    pictures = [picture for picture in every if picture.varies is None]
    varied = [picture for picture in every if picture.varies is not None]
    if group_by and not remembered:
        report_groups(pictures, group_by, report)
    corrected = correct(pictures, corrections)
    report_corrections(corrected, corrections, report)
    report_twins(corrected.pictures, report)
    return Gathered(corrected, skipped, dataset.drawable, workspace.previous_split(), varied)


def as_trained(run: Run | None) -> TrainConfig:
    """Return a configuration that reads pictures, categories and groups as a training did.

    Args:
        run: of that training; None for the defaults.
    """
    said = read_json(run.config) if run else {}
    group_by = said.get("split", {}).get("group_by")
    return TrainConfig(labels_from=said.get("labels_from"), split=SplitConfig(group_by=group_by))


def split_up(
    gathered: Gathered, relations: Sequence[Relation], config: TrainConfig, report: Reporter
) -> TrainingData:
    """Split pictures; related ones stay together.

    Args:
        gathered: the pictures.
        relations: between them, as they are known.
        config: decides what is held back, and the number of folds.
        report: hears warnings and counts.

    Raises:
        DataError: fewer than two categories can be learned.
    """
    pictures = gathered.pictures
    joined, sides = sides_of(gathered, relations, config)
    learnable = _learnable(pictures, sides)
    categories = tuple(sorted(learnable))
    for category in sorted({p.category for p in pictures} - learnable):
        report.warn(
            f"Category {category!r} is left out: all its pictures are held back. Add some to "
            "learn from."
        )
    if len(categories) < 2:
        found = f"only {categories[0]!r}" if categories else "none that can be read"
        folder = pictures[0].path.parent if pictures else "the data folder"
        raise DataError(
            f"A classifier needs at least two categories with pictures. Received: {found} in "
            f"{folder}. Add a folder of pictures for each further category."
        )
    kept = [p for p in pictures if p.category in learnable]
    kept.sort(key=lambda p: (SIDES.index(sides[p.key]), p.name))
    teaching = {p.sha256 for p in kept if sides[p.key] == "train"}
    data = TrainingData(
        kept,
        categories,
        sides,
        joined,
        relations,
        gathered,
        config.head.folds,
        [picture for picture in gathered.varied if picture.varies in teaching],
    )
    report_counts(data, report)
    return data


def _of(picture: Picture) -> str:
    """Return the sha256 of the picture that a variation was made of."""
    assert picture.varies is not None
    return picture.varies


def sides_of(
    gathered: Gathered, relations: Sequence[Relation], config: TrainConfig
) -> tuple[Joined, dict[str, Side]]:
    """Join related pictures, but no series that would leave a category nothing to learn from."""
    pictures, before = gathered.pictures, gathered.before

    def split(joined: Joined) -> dict[str, Side]:
        hold_out, drawable = config.split.hold_out, gathered.drawable
        return assign(pictures, before.sides, hold_out, drawable, joined.sets)

    joined = join(pictures, relations if config.split.relate else ())
    sides = split(joined)
    emptied = _learnable(pictures, split(join(pictures, ()))) - _learnable(pictures, sides)
    if emptied:
        joined = join(pictures, relations, emptied)
        sides = split(joined)
    return joined, sides


def _learnable(pictures: Sequence[Picture], sides: Mapping[str, Side]) -> set[str]:
    return {picture.category for picture in pictures if sides[picture.key] == "train"}
