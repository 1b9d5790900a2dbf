"""A folder of pictures, guessed and sorted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retrain.bundle import open_bundle
from retrain.config import GuessConfig, SortConfig
from retrain.data.stream import cores
from retrain.errors import UsageError
from retrain.infer.choice import open_engine
from retrain.infer.guess import guess
from retrain.infer.guess_dir import SortedFolder, absolute, count_sources, sources
from retrain.infer.results import Row
from retrain.progress import Reporter, counted
from retrain.workspace import Workspace


@dataclass(frozen=True)
class Sorted:
    """What became of a folder.

    counts: copies by category. unsure: of them, those set aside. done_before: left as they were.
    """

    counts: dict[str, int]
    unsure: int
    done_before: int
    failed: list[Row]


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
    unsure = absolute(sorting.unsure) if sorting.unsure else None
    outside = (destination, unsure) if unsure else (destination,)
    total = count_sources(source, outside, sorting.recursive)
    threads = guessing.threads or cores()
    engine = open_engine(bundle, guessing.precision, total, threads)
    folder = SortedFolder(
        destination, bundle.manifest.run, sorting.link, sorting.min_score or 0.0, unsure
    )
    counts: Counter[str] = Counter()
    failed: list[Row] = []
    set_aside = done_before = 0
    try:
        with report.bar("guessing", total) as advance:

            def fresh() -> Iterator[Path]:
                nonlocal done_before
                for path in sources(source, sorting.recursive):
                    if folder.is_done(path):
                        done_before += 1
                        advance(1)
                    else:
                        yield path

            guesses = guess(engine, bundle.manifest.labels, bundle.rules, fresh(), threads)
            for row in folder.add_all(guesses):
                if row.error:
                    failed.append(row)
                else:
                    counts[row.category] += 1
                    set_aside += folder.is_unsure(row)
                advance(1)
    finally:
        folder.finish()
    for place, copies in folder.left_behind.items():
        report.warn(f"{counted(copies, 'copy', 'copies')} of an earlier run stay in {place}.")
    if done_before:
        report.say(f"{counted(done_before, 'picture')} sorted before: left as is.")
    return Sorted(dict(counts), set_aside, done_before, failed)
