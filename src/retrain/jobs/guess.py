"""Guesses for single pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from retrain.bundle import open_bundle
from retrain.config import GuessConfig
from retrain.data.stream import cores
from retrain.infer.choice import open_engine
from retrain.infer.guess import Guess, guess
from retrain.workspace import Workspace


def guess_files(root: Path, images: Sequence[Path], config: GuessConfig) -> Iterator[Guess]:
    """Yield what the published model sees in each picture, in order.

    Args:
        root: the workspace, or a bundle.
        images: picture files.
        config: precision and threads.

    Raises:
        BundleError: there is no model, or it cannot be read.
    """
    bundle = open_bundle(Workspace(root).published())
    threads = config.threads or cores()
    engine = open_engine(bundle, config.precision, len(images), threads)
    return guess(engine, bundle.manifest.labels, bundle.rules, images, threads)
