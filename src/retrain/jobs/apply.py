"""Corrections made good in the folders, and that taken back."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrain.data.labels import LABELS
from retrain.data.records import Example, Picture, category_name
from retrain.data.sources import open_data
from retrain.errors import DataError, UsageError
from retrain.files import machine_errors
from retrain.infer.names import folder_name, numbered
from retrain.jobs.computed_features import default_rules
from retrain.jobs.journal import Journal, Move
from retrain.jobs.training_data import as_trained, gather
from retrain.progress import Reporter
from retrain.workspace import Workspace


@dataclass(frozen=True)
class Applied:
    """What was moved, in one step or several, and what could not be, by path with the reason."""

    moves: Sequence[Move]
    failed: Sequence[tuple[str, str]] = ()


def apply_corrections(root: Path, report: Reporter) -> Applied:
    """Make the folders agree with the corrections, as one step that can be taken back.

    A picture goes to the folder of its category, beside the one where it lies; what is left out
    goes to `removed/<category>/` of the workspace. The corrections stay.

    Args:
        root: the workspace.
        report: hears what is odd about the pictures.

    Raises:
        DataError: there are no pictures, or their categories are not those of their folders.
        MachineError: a file cannot be moved; what was moved can be taken back.
    """
    workspace = Workspace(root.absolute())
    with workspace.lock(report.warn):
        config = as_trained(workspace.readable_run())
        if config.labels_from:
            raise DataError(
                "Only folders can be made to agree with corrections; in the last training names "
                f"said the categories (--labels-from '{config.labels_from}'). Rename the files; "
                "corrections count all the same."
            )
        corrected = gather(workspace, default_rules(), config, report, remembered=True).corrected
        to_move, left_out = corrected.moved, corrected.left_out
        true = {picture.name: picture.category for picture in corrected.pictures}
        examples = {example.name: example for example in open_data(workspace.data).examples}
        if any(examples[p.name].folder is None for p in (*to_move, *left_out)):
            raise DataError(
                f"Only folders can be made to agree with corrections; here {LABELS} says the "
                "categories. Change it there; corrections count all the same."
            )
        places = _Places(workspace)
        wanted = [
            *((p, places.in_category(examples[p.name], true[p.name])) for p in to_move),
            *((p, places.removed(examples[p.name])) for p in left_out),
        ]
        return Applied(_moved(workspace, wanted)) if wanted else Applied(())


def take_back_steps(root: Path, count: int, report: Reporter) -> Applied:
    """Bring back what the last steps moved, the newest step first.

    Args:
        root: the workspace.
        count: of steps.
        report: hears if the file system has no locks.

    Raises:
        MachineError: a file cannot be moved; the same call goes on from there.
        UsageError: there are not so many steps.
    """
    workspace = Workspace(root.absolute())
    with workspace.lock(report.warn), machine_errors(workspace.root):
        journal = Journal(workspace.root)
        steps = journal.steps()
        if not steps:
            why = "has moved nothing yet" if journal.is_new else "is taken back already"
            raise UsageError(f"There is nothing to take back: --apply {why}.")
        if not 1 <= count <= len(steps):
            raise UsageError(
                f"Only what was applied can be taken back. Received: {count}, but there are "
                f"{len(steps)} such steps.",
                setting="undo",
            )
        moves: list[Move] = []
        failed: list[tuple[str, str]] = []
        for step in reversed(steps[-count:]):
            back, not_back = journal.take_back(step)
            moves += back
            failed += [(move.target, reason) for move, reason in not_back]
        return Applied(moves, failed)


def _moved(workspace: Workspace, wanted: Sequence[tuple[Picture, Path]]) -> list[Move]:
    with machine_errors(workspace.root):
        journal = Journal(workspace.root)
        step = journal.new_step()
        return [
            journal.move(step, picture.path, target, picture.sha256) for picture, target in wanted
        ]


class _Places:
    """Where files go; no two to one place."""

    def __init__(self, workspace: Workspace) -> None:
        self._removed = workspace.removed
        self._taken: set[Path] = set()

    def in_category(self, example: Example, category: str) -> Path:
        """Return the place in the folder of another category, beside the one where it lies."""
        assert example.folder is not None
        beside = example.folder.parent
        names = {category_name(name): name for name in _folders(beside)}
        name = names.get(category, category)
        if not name.strip() or "/" in name or "\0" in name or name.startswith("."):
            name = folder_name(category)  # what a person wrote, and no folder can be called
        return self._free(beside / name / example.path.relative_to(example.folder))

    def removed(self, example: Example) -> Path:
        """Return the place of a picture that is left out."""
        assert example.folder is not None
        inside = example.path.relative_to(example.folder)
        return self._free(self._removed / example.folder.name / inside)

    def _free(self, wanted: Path) -> Path:
        """Return the first place of this name that nobody has or gets; it is then taken."""
        stem, suffix = wanted.stem, wanted.suffix
        number = 1
        place = wanted
        while place in self._taken or os.path.lexists(place):
            number += 1
            place = wanted.with_name(numbered(stem, suffix, number))
        self._taken.add(place)
        return place


def _folders(folder: Path) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.is_dir() and not entry.name.startswith("."):
            yield entry.name
