"""Guesses for single pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from retrain.config import GuessConfig
from retrain.infer.guess import Guess
from retrain.infer.model import Model
from retrain.workspace import open_run


def guess_files(root: Path, images: Sequence[Path], config: GuessConfig) -> Iterator[Guess]:
    """Yield what the published model sees in each picture, in order.

    Args:
        root: the workspace, or a bundle.
        images: picture files.
        config: precision and threads.

    Raises:
        BundleError: there is no model, or it cannot be read.
    """
    model = Model(
        open_run(root),
        precision=config.precision,
        threads=config.threads,
        pictures=len(images),
    )
    return model.guess_all(images)
