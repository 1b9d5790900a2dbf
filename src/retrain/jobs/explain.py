"""Heat maps of single pictures: what in them speaks for a category."""

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain.bundle import Bundle, open_bundle
from retrain.config import ExplainMethod
from retrain.data.images import BadPicture, Pixels, read_bytes, read_pixels
from retrain.data.records import category_name
from retrain.errors import BundleError, UsageError
from retrain.evaluate.interpret import BY_PIXEL, Interpreter
from retrain.metrics import softmax
from retrain.model.predict import Forward
from retrain.plots import draw_sheet, ember, overlay, relief
from retrain.workspace import Workspace, atomic_writer, machine_errors, output_folder

FOLDER = "explained"
LONGEST = 180  # bytes of a picture's name; file systems allow 255 for all


@dataclass(frozen=True)
class Explanation:
    """What was drawn of a picture, or why nothing was. scores: category to probability."""

    source: Path
    picture: Path | None
    scores: dict[str, float]
    categories: tuple[str, ...]
    error: str | None = None


def load_classifier(bundle: Bundle) -> keras.Model:
    """Return a bundle's Keras model, uint8 pixels to float32 logits.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        return keras.models.load_model(bundle.files.keras, compile=False)
    except Exception as error:  # Keras, h5py and zipfile raise many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BundleError(
            f"{bundle.files.keras} cannot be read ({reason}). Train again."
        ) from error


def explain(
    root: Path,
    images: Sequence[Path],
    categories: Sequence[str],
    method: ExplainMethod,
    layer: str | None,
    output: Path | None,
) -> Iterator[Explanation]:
    """Draw each picture beside its heat map, a row for each category.

    Args:
        root: the workspace, or a bundle.
        images: picture files.
        categories: to explain; none for the model's guess.
        method: of the heat map.
        layer: whose feature maps are used; None for the last ones.
        output: folder for the PNGs; None for `explained` in the workspace.

    Raises:
        BundleError: there is no model. UsageError: no such category or layer, or the method does
            not work on this network. MachineError: `output` cannot be written.
    """
    workspace = Workspace(root.absolute())
    bundle = open_bundle(workspace.published())
    labels = bundle.manifest.labels
    categories = [category_name(name) for name in categories]
    for name in categories:
        if name not in labels:
            raise UsageError(f"--category must be one of {', '.join(labels)}. Received: {name!r}.")
    folder = output_folder(output or workspace.root / FOLDER)
    model = load_classifier(bundle)
    interpreter = Interpreter(model, layer)
    if method.startswith("guided") and (reason := interpreter.refusal()):
        raise UsageError(reason)
    forward = Forward(model)
    for path in images:
        try:
            pixels = read_pixels(read_bytes(path), bundle.rules)
        except BadPicture as error:
            yield Explanation(path, None, {}, (), str(error))
            continue
        probabilities = softmax(forward(pixels[np.newaxis]), bundle.manifest.temperature)[0]
        best_first = np.argsort(-probabilities, kind="stable")
        scores = {labels[i]: float(probabilities[i]) for i in best_first}
        chosen = tuple(categories) or (labels[best_first[0]],)
        source = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
        place = _place(folder, path, method, source)
        columns, titles = _panels(interpreter, method, pixels, chosen, labels, scores)
        with machine_errors(folder), atomic_writer(place) as part:
            draw_sheet(columns, titles, part, source)
        yield Explanation(path, place, scores, chosen)


def _place(folder: Path, path: Path, method: ExplainMethod, source: str) -> Path:
    """Return where to draw a picture: over what was drawn of it before, and over nothing else."""
    name = os.fsdecode(os.fsencode(path.stem)[:LONGEST])
    numbers = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    places = (folder / f"{name}-{method}{number}.png" for number in numbers)
    return next(p for p in places if not os.path.lexists(p) or _source(p) == source)


def _source(drawn: Path) -> str | None:
    """Return what a PNG says of its source; None for all files that are not ours."""
    try:
        with Image.open(drawn, formats=["PNG"]) as image:
            return image.info.get("Source")
    except Exception:  # as in images.decode: damaged files raise nearly anything
        return None


def _panels(
    interpreter: Interpreter,
    method: ExplainMethod,
    pixels: Pixels,
    categories: Sequence[str],
    labels: Sequence[str],
    scores: Mapping[str, float],
) -> tuple[list[list[NDArray[np.uint8]]], list[list[str]]]:
    """Return the sheet's columns and their titles: original, heat map, guided backpropagation."""
    count = len(categories)
    batch = np.repeat(pixels[np.newaxis], count, axis=0)
    wanted = [labels.index(name) for name in categories]
    draw = ember if method in BY_PIXEL else partial(overlay, pixels)
    columns = [list(batch), [draw(one) for one in interpreter.heat(method, batch, wanted)]]
    titles = [[f"{name} {scores[name]:.3f}" for name in categories]]
    titles.append([str(method)] * count)
    if interpreter.refusal() is None:
        columns.append([relief(one) for one in interpreter.guided(batch, wanted)])
        titles.append(["guided backpropagation"] * count)
    return columns, titles
