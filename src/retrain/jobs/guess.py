"""Guessing, for one picture or a folder. Knows nothing of TensorFlow."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrain.bundle import Bundle, open_bundle
from retrain.config import GuessConfig
from retrain.data.stream import cores
from retrain.infer.choice import open_engine
from retrain.infer.guess import Guess, guess
from retrain.infer.guess_dir import Row, SortedFolder, absolute, find_sources
from retrain.progress import Reporter, counted
from retrain.workspace import Workspace


def guess_files(root: Path, images: Sequence[Path], config: GuessConfig) -> Iterator[Guess]:
    """Yield what the published model sees in each picture, in order.

    Args:
        root: the workspace, or a bundle.
        images: picture files.
        config: batch size and threads.

    Raises:
        BundleError: there is no model, or it cannot be read.
    """
    return _guesses(open_bundle(Workspace(root).published()), images, config)


def _guesses(bundle: Bundle, images: Sequence[Path], config: GuessConfig) -> Iterator[Guess]:
    engine = open_engine(bundle, config.precision, config.threads or cores())
    return guess(engine, bundle.manifest.labels, bundle.rules, images, config)


@dataclass(frozen=True)
class Sorted:
    """What became of a folder. counts: copies by category. done_before: left as they were."""

    counts: dict[str, int]
    done_before: int
    failed: list[Row]


def sort_folder(
    root: Path,
    source: Path,
    destination: Path,
    recursive: bool,
    link: bool,
    config: GuessConfig,
    report: Reporter,
) -> Sorted:
    """Copy every picture of a folder to `<destination>/<category>-<score>.<ext>`.

    Args:
        root: the workspace, or a bundle.
        source: folder of pictures.
        destination: made if it is not there; neither folder may lie in the other.
        recursive: go into sub-folders too.
        link: hard links, not copies, where the file system can.
        config: batch size and threads.
        report: shows the progress.

    Raises:
        UsageError: the folders do not fit. BundleError: no model. MachineError: cannot write.
    """
    bundle = open_bundle(Workspace(root).published())
    sources = find_sources(absolute(source), absolute(destination), recursive)
    folder = SortedFolder(absolute(destination), bundle.manifest.run, link)
    fresh = [path for path in sources if not folder.is_done(path)]
    if len(fresh) < len(sources):
        report.say(f"{counted(len(sources) - len(fresh), 'picture')} sorted before: left as is.")
    counts: Counter[str] = Counter()
    failed: list[Row] = []
    try:
        with report.bar("guessing", len(fresh)) as advance:
            for row in folder.add_all(_guesses(bundle, fresh, config)):
                if row.error:
                    failed.append(row)
                else:
                    counts[row.category] += 1
                advance(1)
    finally:
        folder.finish()
    return Sorted(dict(counts), len(sources) - len(fresh), failed)
