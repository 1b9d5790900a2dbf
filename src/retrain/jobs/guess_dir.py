"""A folder of pictures, guessed and sorted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from retrain.bundle import Bundle, open_bundle
from retrain.config import GuessConfig, SortConfig
from retrain.data.stream import cores
from retrain.errors import UsageError
from retrain.infer.choice import open_engine
from retrain.infer.guess import Guess, guess
from retrain.infer.guess_dir import SortedFolder
from retrain.infer.names import folder_name
from retrain.infer.rows import Row
from retrain.infer.sources import absolute, count_sources, folders, sources
from retrain.progress import Reporter, counted
from retrain.workspace import Workspace


@dataclass
class Sorted:
    """What became of a folder.

    counts: copies by category; in a dry run, guesses. unsure: of them, those set aside.
    done_before: left as they were. gone: sources of earlier runs that are there no more.
    edited: copies left because they may have been edited. not_entered: sub-folders.
    """

    counts: dict[str, int] = field(default_factory=dict)
    unsure: int = 0
    done_before: int = 0
    gone: int = 0
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
        destination: made if it is not there; neither folder may lie in the other.
        guessing: precision and threads.
        sorting: what to sort, how, and where to.
        report: shows the progress.

    Raises:
        UsageError: the folders do not fit. BundleError: no model. MachineError: cannot write.
    """
    if (sorting.min_score is None) != (sorting.unsure is None):
        raise UsageError(
            "--min-score and --unsure go together: a score from 0 to 1, and a folder for pictures "
            "below it. Received: one of them."
        )
    bundle = open_bundle(Workspace(root).published())
    source, destination = absolute(source), absolute(destination)
    outside = _written_to(destination, bundle, sorting)
    total = count_sources(source, outside, sorting.recursive)
    threads = guessing.threads or cores()
    engine = open_engine(bundle, guessing.precision, total, threads)
    folder = SortedFolder(destination, bundle.manifest.run, sorting)
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
                for path in sources(source, sorting.recursive, fail):
                    wanted = folder.wanted(path)
                    if wanted is None:
                        result.done_before += 1
                        advance(1)
                    else:
                        yield wanted

            guesses = guess(engine, bundle.manifest.labels, bundle.rules, fresh(), threads)
            for row in folder.add_all(guesses):
                result.add(row, folder.is_unsure(row))
                advance(1)
    finally:
        folder.finish()
    result.gone, result.edited = folder.gone, folder.edited
    _tell(folder, result, report)
    return result


def _written_to(destination: Path, bundle: Bundle, sorting: SortConfig) -> list[Path]:
    """Return the folders that copies go to: DEST, and where links of categories lead."""
    places = [destination, *([absolute(sorting.unsure)] if sorting.unsure else [])]
    if not sorting.keep_names:
        return places
    names = [folder_name(label) for label in bundle.manifest.labels]
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


def _tell(folder: SortedFolder, result: Sorted, report: Reporter) -> None:
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
        report.say(f"{counted(result.done_before, 'picture')} sorted before: left as is.")
