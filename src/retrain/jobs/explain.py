"""Heat maps of single pictures: what in them speaks for a category."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain.config import ExplainMethod
from retrain.data.images import BadPicture, Pixels, read_bytes, read_pixels
from retrain.data.records import category_name
from retrain.errors import UsageError
from retrain.evaluate.interpret import BY_PIXEL, Interpreter
from retrain.files import atomic_writer, machine_errors, output_folder
from retrain.model.classifier import load_classifier
from retrain.plots import draw_sheet, ember, overlay, relief
from retrain.workspace import Workspace, open_run

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
    run = open_run(root)
    labels = run.manifest.labels
    categories = [category_name(name) for name in categories]
    for name in categories:
        if name not in labels:
            raise UsageError(
                f"The category must be one of {', '.join(labels)}. Received: {name!r}.",
                setting="category",
            )
    folder = output_folder(output or workspace.root / FOLDER)
    classifier = load_classifier(run)
    interpreter = Interpreter(classifier.network, layer)
    if method.startswith("guided") and (reason := interpreter.refusal()):
        raise UsageError(reason)
    names: Counter[str] = Counter()
    for path in images:
        try:
            pixels = read_pixels(read_bytes(path), run.rules)
        except BadPicture as error:
            yield Explanation(path, None, {}, (), str(error))
            continue
        probabilities = classifier.probabilities(pixels[np.newaxis])[0]
        best_first = np.argsort(-probabilities, kind="stable")
        scores = {labels[i]: float(probabilities[i]) for i in best_first}
        chosen = tuple(categories) or (labels[best_first[0]],)
        name = os.fsdecode(os.fsencode(path.stem)[:LONGEST])
        names[name] += 1
        number = f"-{names[name]}" if names[name] > 1 else ""
        place = folder / f"{name}-{method}{number}.png"
        columns, titles = _panels(interpreter, method, pixels, chosen, labels, scores)
        with machine_errors(folder), atomic_writer(place) as part:
            draw_sheet(columns, titles, part)
        yield Explanation(path, place, scores, chosen)


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
