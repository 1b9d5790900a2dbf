"""A folder of pictures, guessed and sorted."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from retrain.config import GuessConfig, SortConfig
from retrain.data.sources import visible_files
from retrain.errors import UsageError
from retrain.infer.guess import Guess
from retrain.infer.guess_dir import SortedFolder
from retrain.infer.model import Model
from retrain.infer.names import folder_name
from retrain.infer.rows import Row
from retrain.infer.sources import absolute, count_sources, folders
from retrain.progress import Reporter, counted
from retrain.run import Run
from retrain.workspace import RUNS, Workspace, open_run


class Guesser(Protocol):
    """What names the pictures: `retrain.infer.model.Model`, or one on many machines."""

    run: Run

    @property
    def least_familiar(self) -> float | None:
        """Below which a picture is a stranger, 0..1; None where the model cannot tell."""

    def guess_all(self, pictures: Iterable[Path | Guess]) -> Iterator[Guess]:
        """Yield a guess for each picture, in order; one that was made before is passed through."""


@dataclass
class Sorted:
    """What became of a folder.

    counts: copies by category; in a dry run, guesses. unsure: of them, those set aside.
    done_before: left as they were. gone: sources of earlier runs that are there no more.
    removed: their copies that were removed; in a dry run, that would be.
    edited: copies left because they may have been edited. not_entered: sub-folders.
    """

    counts: dict[str, int] = field(default_factory=dict)
    unsure: int = 0
    done_before: int = 0
    gone: int = 0
    removed: int = 0
    edited: int = 0
    not_entered: int = 0
    failed: list[Row] = field(default_factory=list)

    def add(self, row: Row, unsure: bool) -> None:
        """Count a row."""
        if row.error:
            self.failed.append(row)
        else:
            self.counts[row.category] = self.counts.get(row.category, 0) + 1
            self.unsure += unsure


def sort_folder(
    root: Path,
    source: Path,
    destination: Path,
    guessing: GuessConfig,
    sorting: SortConfig,
    report: Reporter,
) -> Sorted:
    """Copy every picture of a folder to `<destination>/<category>-<score>.<ext>`.

    Args:
        root: the workspace, or a bundle.
        source: folder of pictures.
        destination: made if it is not there; neither folder may lie in the other, nor this one
            in the pictures that the model learns from.
        guessing: precision and threads.
        sorting: what to sort, how, and where to.
        report: shows the progress.

    Raises:
        UsageError: the folders do not fit. BundleError: no model. MachineError: cannot write.
    """
    run, source, destination = open_run(root), absolute(source), absolute(destination)
    total = _checked(run, source, destination, sorting)
    model = Model(run, precision=guessing.precision, threads=guessing.threads, pictures=total)
    return _sort(model, source, destination, sorting, report, total)


def sort_with(
    model: Guesser, source: Path, destination: Path, sorting: SortConfig, report: Reporter
) -> Sorted:
    """Do what `sort_folder` does with a model that is open."""
    source, destination = absolute(source), absolute(destination)
    total = _checked(model.run, source, destination, sorting)
    return _sort(model, source, destination, sorting, report, total)


def _sort(
    model: Guesser,
    source: Path,
    destination: Path,
    sorting: SortConfig,
    report: Reporter,
    total: int,
) -> Sorted:
    folder = SortedFolder(destination, model.run.manifest.run, sorting, model.least_familiar)
    for place, reason in folder.unlocked.items():
        report.warn(
            f"{place} cannot be locked ({reason}): start no second guess-dir into it meanwhile."
        )
    result = Sorted(not_entered=0 if sorting.recursive else _visible_folders(source))
    try:
        folder.look_for_gone(source, forget=_is_synced(sorting, total, report))
        with report.bar("guessing", total) as advance:

            def fail(path: Path, reason: str) -> None:
                result.add(folder.fail(path, reason), unsure=False)

            def fresh() -> Iterator[Path | Guess]:
                for path in visible_files(source, sorting.recursive, fail):
                    wanted = folder.wanted(path)
                    if wanted is None:
                        result.done_before += 1
                        advance(1)
                    else:
                        yield wanted

            for row in folder.add_all(model.guess_all(fresh())):
                result.add(row, folder.is_unsure(row))
                advance(1)
    finally:
        folder.finish()
    result.gone, result.removed, result.edited = folder.gone, folder.removed, folder.edited
    _tell(folder, result, sorting, report)
    return result


def _checked(run: Run, source: Path, destination: Path, sorting: SortConfig) -> int:
    """Return how many files there are to guess, if settings and folders fit together."""
    if sorting.min_score is not None and sorting.unsure is None:
        raise UsageError(
            "The least score needs a folder where pictures below it are set aside. Received: none.",
            setting="unsure",
        )
    if sorting.min_score is None and sorting.unsure is not None and not run.reference.exists():
        raise UsageError(
            "This model cannot tell what is unlike the pictures that it learned from: it was "
            "trained by an older version, or without a reference. To set pictures aside it needs a "
            "least score from 0 to 1. Received: none.",
            setting="min_score",
        )
    places = _written_to(destination, run, sorting)
    _refuse_taught(run, places, sorting)
    return count_sources(source, places, sorting.recursive)


def _refuse_taught(run: Run, places: Sequence[Path], sorting: SortConfig) -> None:
    """Refuse folders where the run's own workspace finds pictures to learn from."""
    if run.folder.parent.name != RUNS:  # a bundle
        return
    workspace = Workspace(run.folder.parent.parent)
    taught = [folder.resolve() for folder in (workspace.data, workspace.returned)]
    for place, data in itertools.product(places, taught):
        if place.resolve().is_relative_to(data):
            unsure = sorting.unsure is not None and place.is_relative_to(absolute(sorting.unsure))
            name = "The folder for unsure pictures" if unsure else "DEST"
            raise UsageError(
                f"{name} must lie outside {data}, or the model would learn from its own guesses. "
                f"Received: {place}. Sort into another folder, look it through, then "
                "`retrain import` it.",
                setting="unsure" if unsure else "",
            )


def _written_to(destination: Path, run: Run, sorting: SortConfig) -> list[Path]:
    """Return the folders that copies go to: DEST, and where links of categories lead."""
    places = [destination, *([absolute(sorting.unsure)] if sorting.unsure else [])]
    if not sorting.keep_names:
        return places
    names = [folder_name(label) for label in run.manifest.labels]
    links = [place / name for place in places for name in names if (place / name).is_symlink()]
    return places + links


def _visible_folders(source: Path) -> int:
    return sum(1 for folder in folders(source) if not folder.name.startswith("."))


def _is_synced(sorting: SortConfig, total: int, report: Reporter) -> bool:
    """Tell whether what is gone from the source is to go everywhere."""
    if sorting.sync and total == 0:
        report.warn(
            "No picture is left in SRC, as if its disk were not mounted: no copies are removed."
        )
    return sorting.sync and total > 0


def _tell(folder: SortedFolder, result: Sorted, sorting: SortConfig, report: Reporter) -> None:
    """Say what was left as it was."""
    for place, copies in folder.left_behind.items():
        report.warn(f"{counted(copies, 'copy', 'copies')} of an earlier run stay in {place}.")
    if folder.edited:
        more = folder.edited - len(folder.edited_names)
        names = ", ".join([*folder.edited_names, *([f"and {more} more"] if more else [])])
        verb = "copy that may have been edited stays as it is"
        verbs = "copies that may have been edited stay as they are"
        report.warn(f"{counted(folder.edited, verb, verbs)}: {names}.")
    if result.done_before:
        known = "guessed" if sorting.dry_run else "sorted"
        verb = f"picture was {known} before and is left as it is"
        verbs = f"pictures were {known} before and are left as they are"
        report.say(f"{counted(result.done_before, verb, verbs)}.")
