"""What a training would find: categories, sides, groups, and where pictures came from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.data.origins import KEPT, SOURCES, read_sources
from retrain.data.records import SIDES, Picture, Side, Skipped
from retrain.data.split import GROUP, SOURCE
from retrain.errors import UsageError
from retrain.files import machine_errors, output_folder, write_csv
from retrain.jobs.training_data import gather, sides_of
from retrain.model.backbones import input_size
from retrain.model.weights import choose
from retrain.progress import Reporter
from retrain.workspace import Workspace

USER = "yours"  # the origin of what no command brought


@dataclass(frozen=True)
class CategoryData:
    """One category.

    sides: how many pictures are on each. groups: how many sets of pictures stay together, a
    picture that belongs to no other being one. origins: how many pictures came by which command.
    variations: pictures that only teach, and are in no other number.
    """

    name: str
    pictures: int
    sides: Mapping[Side, int]
    groups: int
    origins: Mapping[str, int]
    variations: int


@dataclass(frozen=True)
class ShownData:
    """All categories, the files that are left out, and the table that was written."""

    categories: Sequence[CategoryData]
    skipped: Sequence[Skipped]
    labels: str | None


def show_data(root: Path, config: TrainConfig, labels: Path | None, report: Reporter) -> ShownData:
    """Look at the pictures of a workspace as a training with this configuration would.

    Sides and groups are those that are known now: of folders, tables, `sources.csv` and the runs
    before. A training also looks for related pictures, which join groups.

    Args:
        root: the workspace.
        config: what tells categories and groups, and what is held back.
        labels: the CSV to write, with a row for each picture; None for none.
        report: hears what is odd about the pictures.

    Raises:
        DataError: there are no pictures.
        UsageError: the table is there already.
    """
    if labels is not None and labels.exists():
        raise UsageError(f"No file is overwritten. Received: {labels}.", setting="write_labels")
    workspace = Workspace(root.absolute())
    backbone, _ = choose(config.backbone.name, config.backbone.weights, gpu=False)
    rules = PixelRules(input_size(backbone, config.pictures.size), config.pictures.fit)
    gathered = gather(workspace, rules, config, report)
    joined, sides = sides_of(gathered, gathered.before.relations, config)
    rows = read_sources(workspace.root / SOURCES)
    jobs = {row["sha256"]: row["job"] for row in rows if row["status"] == KEPT}
    if labels is not None:
        _write_labels(labels.absolute(), [*gathered.pictures, *gathered.varied])
    found = [
        (p, sides[p.key], joined.sets.get(p.key, p.key), jobs.get(p.sha256, USER))
        for p in gathered.pictures
    ]
    varied = Counter(picture.category for picture in gathered.varied)
    return ShownData(
        [
            _category([one for one in found if one[0].category == name], varied[name])
            for name in sorted({picture.category for picture in gathered.pictures})
        ],
        gathered.skipped,
        str(labels) if labels else None,
    )


def _category(own: Sequence[tuple[Picture, Side, str, str]], variations: int) -> CategoryData:
    """Put a category together from its pictures, each with side, group and origin."""
    sides = Counter(side for _, side, _, _ in own)
    return CategoryData(
        own[0][0].category,
        len(own),
        {side: sides[side] for side in SIDES if sides[side]},
        len({group for _, _, group, _ in own}),
        dict(Counter(origin for *_, origin in own).most_common()),
        variations,
    )


def _write_labels(path: Path, pictures: Sequence[Picture]) -> None:
    """Write a labels.csv: sides only where the user gave them, groups where there are any."""
    output_folder(path.parent)
    rows = [(p.name, p.category, p.side or "", _group(p)) for p in pictures]
    with machine_errors(path.parent):
        write_csv(path, ("path", "label", "split", "group"), rows)


def _group(picture: Picture) -> str:
    for mark in (GROUP, SOURCE):
        if picture.key.startswith(mark):
            return picture.key.removeprefix(mark)
    return ""
