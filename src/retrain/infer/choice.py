"""Which engine makes the guesses, and how many work side by side."""

import os
from pathlib import Path

from retrain.config import GuessPrecision
from retrain.errors import BundleError
from retrain.infer.cascade import Cascade, Quantised, read_head
from retrain.infer.engine import Engine, Lanes
from retrain.infer.litert import LiteRT
from retrain.run import Run

MOST_LANES = 4  # each has the weights in memory once more
WORTH_A_GPU = 1000  # pictures; below, TensorFlow is not yet ready when LiteRT is done
GPU_BATCH = 64


def open_engine(run: Run, precision: GuessPrecision, pictures: int | None, cores: int) -> Lanes:
    """Return what guesses so many pictures fastest on this machine.

    Args:
        run: a trained model.
        precision: "float32" or "int8" alone; "auto" is the cascade where it is offered.
        pictures: the number of pictures to guess, at most; None for any, on the CPU.
        cores: to use.

    Raises:
        BundleError: a file of the bundle cannot be read, or holds no int8 model.
    """
    if (
        pictures is not None
        and pictures >= WORTH_A_GPU
        and precision != "int8"
        and _has_nvidia_gpu()
    ):
        engine = open_on_gpu(run)
        if engine is not None:
            return engine
    lanes = max(1, min(cores, MOST_LANES, MOST_LANES if pictures is None else pictures))
    threads = max(1, cores // lanes)
    return Lanes(lambda: open_on_cpu(run, precision, threads), lanes, 1)


def open_on_gpu(run: Run) -> Lanes | None:
    """Return the SavedModel in TensorFlow; None if it sees no GPU, or the bundle has no such model.

    Raises:
        BundleError: the SavedModel cannot be read.
    """
    from retrain.infer.savedmodel import SavedModel, sees_gpu

    if not run.saved_model.is_dir() or not sees_gpu():
        return None
    return Lanes(lambda: SavedModel(run.saved_model, run.manifest.labels), 1, GPU_BATCH)


def open_on_cpu(run: Run, precision: GuessPrecision, threads: int) -> Engine:
    """Return the cascade where it is offered or int8 is asked for, else float32.

    Args:
        run: a trained model.
        precision: as for `open_engine`.
        threads: that share one inference.

    Raises:
        BundleError: a file of the bundle cannot be read, or holds no int8 model.
    """
    cascade = run.manifest.cascade
    if precision == "int8" and cascade is None:
        raise BundleError(
            f"Guesses in int8 need an int8 model. Received: {run.folder}, which was "
            "trained without one. Choose another precision, or train again.",
            setting="precision",
        )

    def exact() -> Engine:
        return LiteRT(run.litert, threads)

    if precision == "float32" or cascade is None:
        return exact()
    if precision == "auto" and not cascade["offered"]:
        return exact()
    quantised = Quantised(run.int8, read_head(run.int8_head), threads)
    return Cascade(quantised, 0.0 if precision == "int8" else cascade["threshold"], exact)


def _has_nvidia_gpu() -> bool:
    """Ask without TensorFlow, whose import takes longer than a guess."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    devices = Path("/dev")
    return not hidden and (any(devices.glob("nvidia[0-9]*")) or (devices / "dxg").exists())
