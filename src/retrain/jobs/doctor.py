"""Whether the main job would work on this machine, found out by doing it in small."""

import ctypes
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from retrain.config import (
    BackboneConfig,
    FineTuneConfig,
    GuessConfig,
    PictureConfig,
    TrainConfig,
)
from retrain.data.sources import open_data
from retrain.data.stream import cores
from retrain.errors import RetrainError
from retrain.jobs.guess import guess_files
from retrain.model.weights import DEFAULT, cache_folder, ready_names
from retrain.progress import Silent, counted
from retrain.version import VERSION
from retrain.workspace import Workspace, lock_file

State = Literal["ok", "note", "wrong"]

LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "ai-edge-litert", "numpy", "pillow")
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")  # as Linux names them
# What TensorFlow 2.21 loads at run time on a GPU; it was built with CUDA 12 and cuDNN 9.
CUDA_LIBRARIES = (
    "libcuda.so.1",
    "libcudart.so.12",
    "libcublas.so.12",
    "libcublasLt.so.12",
    "libcudnn.so.9",
    "libcufft.so.11",
    "libcurand.so.10",
    "libcusolver.so.11",
    "libcusparse.so.12",
    "libnccl.so.2",
    "libnvJitLink.so.12",
    "libnvrtc.so.12",
)
SPARE = 500e6  # bytes that a small training may write
PICTURES = 12  # of each of two categories, in the trial


@dataclass(frozen=True)
class Finding:
    """One thing looked at. state: note = works, but look at it; wrong = the main job would fail."""

    name: str
    state: State
    text: str


def examine(root: Path | None) -> Iterator[Finding]:
    """Yield what is found, quick things first, so that a crash comes after what explains it.

    Args:
        root: a workspace to look at too, or None.
    """
    yield Finding("versions", "ok", _versions())
    yield Finding("runs in", "ok", _runtime())
    yield _processor()
    yield from _gpus()
    yield Finding("weights", "ok", f"ready: {', '.join(ready_names()) or 'none'}")
    yield _writable("weights cache", cache_folder(), otherwise="note")
    if root is not None:
        yield _pictures(root)
        yield _workspace(root)
    with tempfile.TemporaryDirectory(prefix="retrain-doctor-") as folder:
        trial = Path(folder)
        _draw_pictures(trial)
        yield _tried("training", lambda: _train(trial))
        yield _tried("a guess", lambda: _guess(trial))


def _versions() -> str:
    found = [f"retrain {VERSION}", f"Python {platform.python_version()}"]
    for name in LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue  # one of the two builds of TensorFlow
    return ", ".join(found)


def _runtime() -> str:
    engine, because = os.environ.get("RETRAIN_ENGINE"), os.environ.get("RETRAIN_BECAUSE")
    if engine:
        return f"a container of {engine}"
    here = f"this machine, without a container, in {sys.prefix}"
    return f"{here}: {because}" if because else here


def _processor() -> Finding:
    text = f"{platform.machine()}, {counted(cores(), 'core')}"
    try:
        words = set(Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").split())
    except OSError:  # macOS
        return Finding("processor", "ok", text)
    has = [name for name in FEATURES if name in words]
    text += f", {', '.join(has) or 'no AVX2'}"
    if not {"avx512_bf16", "amx_bf16"} & words:
        text += "; mixed_bfloat16 would not pay"
    return Finding("processor", "ok", text)


def _gpus() -> Iterator[Finding]:
    shown = _host_gpus()
    try:
        import tensorflow as tf

        from retrain.model.devices import gpus

        seen, built = len(gpus()), tf.test.is_built_with_cuda()
    except Exception as error:  # a broken installation raises anything
        yield Finding("TensorFlow", "wrong", f"cannot be loaded: {error}")
        return
    yield _seen_gpus(shown, seen)
    if built:
        yield _cuda(needed=bool(shown))
    elif shown:
        text = "this is TensorFlow's build for the CPU; RETRAIN_GPUS=all takes the one for GPUs"
        yield Finding("CUDA", "note", text)


def _seen_gpus(shown: list[str], seen: int) -> Finding:
    """Compare the GPUs that the machine shows with the number that TensorFlow sees."""
    if os.environ.get("RETRAIN_GPUS") == "none" and not seen:
        return Finding("GPUs", "ok", "left alone, as RETRAIN_GPUS=none wants it")
    names = f" ({', '.join(shown)})" if shown else ""
    if seen < len(shown):
        text = f"this machine shows {len(shown)}{names}, but TensorFlow sees {seen or 'none'}"
        return Finding("GPUs", "note", text)
    return Finding("GPUs", "ok", f"TensorFlow sees {seen}{names}" if seen else "none")


def _host_gpus() -> list[str]:
    names = os.environ.get("RETRAIN_HOST_GPUS")  # docker/run.sh looked outside the container
    if names is None and shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        names = result.stdout if result.returncode == 0 else ""
    return [name.strip() for name in (names or "").splitlines() if name.strip()]


def _cuda(needed: bool) -> Finding:
    missing = []
    for name in CUDA_LIBRARIES:
        try:
            ctypes.CDLL(name)
        except OSError:
            missing.append(name)
    if not missing:
        return Finding("CUDA", "ok", f"all {len(CUDA_LIBRARIES)} libraries load")
    return Finding("CUDA", "note" if needed else "ok", f"do not load: {', '.join(missing)}")


def _pictures(root: Path) -> Finding:
    try:
        examples = open_data(Workspace(root).data).examples
    except RetrainError as error:
        return Finding("pictures", "wrong", str(error))
    categories = len({example.category for example in examples})
    text = (
        f"{counted(len(examples), 'file')} in {counted(categories, 'category', 'categories')}, "
        "not yet decoded"
    )
    return Finding("pictures", "ok" if categories > 1 else "wrong", text)


def _workspace(root: Path) -> Finding:
    """Look whether a model could be published, with what the file system has."""
    found = _writable("workspace", root, otherwise="wrong")
    if found.state != "ok" or not root.is_dir():
        return found
    lacking = []
    try:
        if not Workspace(root).has_links():
            lacking.append("without links: model will be a file that holds the run's name")
        with tempfile.TemporaryFile("w", dir=root) as file:
            if not lock_file(file):
                lacking.append("without locks: start only one training at a time")
    except RetrainError as error:
        return Finding("workspace", "wrong", str(error))
    if not lacking:
        return found
    return Finding("workspace", "note", f"{found.text}, but {', and '.join(lacking)}")


def _writable(name: str, folder: Path, otherwise: State) -> Finding:
    place = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(name, otherwise, f"{folder} is not writable: {error.strerror}")
    free = shutil.disk_usage(place).free
    state: State = "ok" if free > SPARE else otherwise
    return Finding(name, state, f"{folder} is writable, {free / 1e9:.1f} GB free")


def _tried(name: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", attempt())
    except Exception as error:  # whatever it is, it is the finding
        return Finding(name, "wrong", f"{type(error).__name__}: {error}")


def _draw_pictures(root: Path) -> None:
    """Write two categories that no network confuses, dark and light noise."""
    random = np.random.default_rng(0)
    for category, low in (("dark", 0), ("light", 156)):
        folder = root / "data" / category
        folder.mkdir(parents=True)
        for number in range(PICTURES):
            noise = random.integers(low, low + 100, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / f"{number}.png")


def _train(root: Path) -> str:
    from retrain.jobs.train import train  # TensorFlow: whether it loads has been found out

    config = TrainConfig(
        pictures=PictureConfig(size=64),
        backbone=BackboneConfig(DEFAULT),
        fine_tune=FineTuneConfig(when="always", epochs=1, groups=1),
        int8=False,
        minutes=0,
    )
    result = train(root, config, Silent())
    return f"{counted(2 * PICTURES, 'drawn picture')}, {result.seconds:.0f} s, exports agree"


def _guess(root: Path) -> str:
    picture = root / "data" / "light" / "0.png"
    (found,) = guess_files(root, [picture], GuessConfig())
    category, score = found.scores[0]
    if category != "light":
        raise ValueError(f"a light picture is guessed to be {category!r}")
    return f"right, with a score of {score:.5f}"
