"""A contact sheet of what the network is shown in training."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrain.config import TrainConfig
from retrain.data.images import PixelRules, decode, read_bytes, read_pixels
from retrain.files import atomic_writer, machine_errors, output_file
from retrain.jobs.training_data import gather, split_up
from retrain.model.backbones import input_size
from retrain.model.weights import choose
from retrain.plots import draw_sheet
from retrain.progress import Reporter
from retrain.training.augment import mixed, random_view, source_of_views, strength
from retrain.workspace import Workspace

PICTURES, EPOCHS = 6, 5  # rows of the sheet, and views in a row beside the picture as it is


@dataclass(frozen=True)
class Sheet:
    """Where the sheet is, and the pictures on it."""

    path: Path
    pictures: tuple[str, ...]


def show_batch(root: Path, config: TrainConfig, output: Path | None, report: Reporter) -> Sheet:
    """Draw random training pictures as a training with this configuration would see them.

    Args:
        root: the workspace.
        config: size, fit, augmentation and seed count.
        output: PNG to write; None for `show-batch.png` in the workspace.
        report: hears what is odd about the pictures.

    Raises:
        DataError, MachineError, UsageError: see `errors.py`.
    """
    workspace = Workspace(root.absolute())
    backbone, _ = choose(config.backbone.name, config.backbone.weights, gpu=False)
    rules = PixelRules(input_size(backbone, config.pictures.size), config.pictures.fit)
    with workspace.lock(report.warn):
        path = output_file(output, workspace.root / "show-batch.png", workspace.data)
        gathered = gather(workspace, rules, config, report)
        data = split_up(gathered, gathered.before.relations, config, report)
    training = [p for p in data.pictures if data.sides[p.key] == "train"]
    rng = np.random.default_rng(config.seed)
    # The categories take turns, so that a rare one is seen too.
    seen: Counter[str] = Counter()
    turns = []
    for index in rng.permutation(len(training)):
        category = training[index].category
        turns.append((seen[category], category, training[index]))
        seen[category] += 1
    chosen = [picture for *_, picture in sorted(turns, key=lambda turn: turn[:2])[:PICTURES]]
    contents = [read_bytes(picture.path) for picture in chosen]
    columns = [[read_pixels(content, rules) for content in contents]]
    titles = [[picture.category for picture in chosen]]
    how = strength(config.augment)
    decoded = (decode(content, 2 * rules.size) for content in contents)
    sources = [source_of_views(image, rules, how) for image in decoded]
    for epoch in range(1, EPOCHS + 1):
        views = [
            random_view(source, rules, how, config.seed, epoch, picture.sha256)
            for source, picture in zip(sources, chosen, strict=True)
        ]
        title = f"epoch {epoch}"
        if rng.random() < how.mix:
            views = list(mixed(np.stack(views), np.eye(len(views), dtype=np.float32), rng)[0])
            title += ", blended"
        columns.append(views)
        titles.append([title] * len(views))
    with machine_errors(path.parent), atomic_writer(path) as part:
        draw_sheet(columns, titles, part)
    return Sheet(path, tuple(picture.name for picture in chosen))
