"""Heat maps of single pictures: what in them speaks for a category."""

import hashlib
import io
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain.config import ExplainMethod
from retrain.data.images import BadPicture, Pixels, read_bytes, read_pixels
from retrain.data.records import category_name
from retrain.errors import UsageError
from retrain.evaluate.interpret import BY_PIXEL, Interpreter
from retrain.files import atomic_writer, machine_errors, output_folder
from retrain.model.classifier import load_classifier
from retrain.plots import draw_sheet, ember, overlay, relief
from retrain.run import Run
from retrain.workspace import Workspace, open_run

FOLDER = "explained"
LONGEST = 180  # bytes of a picture's name; file systems allow 255 for all


@dataclass(frozen=True)
class Explanation:
    """What was drawn of a picture, or the reason why nothing was.

    source: the picture file.
    picture: the PNG that was drawn; None where there was an error.
    scores: all categories with their probabilities, best first.
    categories: those that were explained.
    error: the reason; None where there was none.
    """

    source: Path
    picture: Path | None
    scores: dict[str, float]
    categories: tuple[str, ...]
    error: str | None = None


class Explainer:
    """A model that stays open, with one method of drawing what it looks at."""

    def __init__(self, run: Run, method: ExplainMethod, layer: str | None = None) -> None:
        """Load the Keras model; this imports TensorFlow.

        Args:
            run: a finished run or a bundle.
            method: of the heat map.
            layer: the name of the layer whose feature maps are used; None for the last ones.

        Raises:
            BundleError: the model cannot be read.
            UsageError: there is no such layer, or the method does not work on this network.
        """
        self._classifier, self._method = load_classifier(run), method
        self._interpreter = Interpreter(self._classifier.network, layer)
        if method.startswith("guided") and (reason := self._interpreter.refusal()):
            raise UsageError(reason, setting="method")

    def known(self, categories: Sequence[str]) -> tuple[str, ...]:
        """Return categories as the model has them.

        Raises:
            UsageError: one of them is unknown.
        """
        names = tuple(category_name(name) for name in categories)
        for name in names:
            if name not in self._classifier.categories:
                raise UsageError(
                    f"The category must be one of {', '.join(self._classifier.categories)}. "
                    f"Received: {name!r}.",
                    setting="category",
                )
        return names

    def scores(self, pixels: Pixels) -> dict[str, float]:
        """Return all categories with their probabilities, best first, for [size, size, 3]."""
        probabilities = self._classifier.probabilities(pixels[np.newaxis])[0]
        order = np.argsort(-probabilities, kind="stable")
        return {self._classifier.categories[i]: float(probabilities[i]) for i in order}

    def image(self, pixels: Pixels, categories: Sequence[str] = ()) -> Image.Image:
        """Return a drawing of a picture beside its heat maps, a row for each category.

        Args:
            pixels: uint8 [size, size, 3], as the network sees the picture.
            categories: to explain; none for the model's guess.

        Raises:
            UsageError: a category is unknown.
        """
        scores = self.scores(pixels)
        file = io.BytesIO()
        draw_sheet(*self.panels(pixels, self.known(categories) or [*scores][:1], scores), file)
        return Image.open(file)

    def panels(
        self, pixels: Pixels, categories: Sequence[str], scores: dict[str, float]
    ) -> tuple[list[list[NDArray[np.uint8]]], list[list[str]]]:
        """Return a drawing's columns and their titles: original, heat map, guided backpropagation.

        Args:
            pixels: uint8 [size, size, 3].
            categories: to explain, a row each.
            scores: of all categories.
        """
        count = len(categories)
        batch = np.repeat(pixels[np.newaxis], count, axis=0)
        wanted = [self._classifier.categories.index(name) for name in categories]
        draw = ember if self._method in BY_PIXEL else partial(overlay, pixels)
        heat = self._interpreter.heat(self._method, batch, wanted)
        columns = [list(batch), [draw(one) for one in heat]]
        titles = [[f"{name} {scores[name]:.3f}" for name in categories]]
        titles.append([str(self._method)] * count)
        if self._interpreter.refusal() is None:
            columns.append([relief(one) for one in self._interpreter.guided(batch, wanted)])
            titles.append(["guided backpropagation"] * count)
        return columns, titles


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
        layer: the name of the layer whose feature maps are used; None for the last ones.
        output: the folder for the PNGs; None for `explained` in the workspace.

    Raises:
        BundleError: there is no model.
        UsageError: there is no such category or layer, or the method does not suit the network.
        MachineError: `output` cannot be written.
    """
    run = open_run(root)
    explainer = Explainer(run, method, layer)
    wanted = explainer.known(categories)
    folder = output_folder(output or Workspace(root.absolute()).root / FOLDER, run.data)
    for path in images:
        try:
            pixels = read_pixels(read_bytes(path), run.rules)
        except BadPicture as error:
            yield Explanation(path, None, {}, (), str(error))
            continue
        scores = explainer.scores(pixels)
        chosen = wanted or tuple(scores)[:1]
        source = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
        place = _place(folder, path, method, source)
        with machine_errors(folder), atomic_writer(place) as part:
            draw_sheet(*explainer.panels(pixels, chosen, scores), part, source)
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
