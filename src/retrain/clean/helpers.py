"""What the page can show besides pictures; each is made at its first use."""

import threading
from collections.abc import Callable

from retrain.clean.album import Shown
from retrain.data.images import BadPicture, Pixels, read_bytes, read_pixels
from retrain.errors import BundleError, UsageError
from retrain.infer.answers import Answers
from retrain.run import Run
from retrain.workspace import Workspace, open_run


def published(workspace: Workspace) -> Run | None:
    """Return the published run; None before the first, or where it cannot be read."""
    try:
        return open_run(workspace.root)
    except BundleError:
        return None


class Heat:
    """Draws what in a picture speaks for a category, by the published model."""

    def __init__(self, workspace: Workspace) -> None:
        """Take a workspace; its model is opened when the first picture is drawn."""
        self._workspace = workspace
        self._lock = threading.Lock()  # one drawing at a time has all cores
        self._opened: tuple[Run, Answers] | None = None

    def is_ready(self) -> bool:
        """Tell whether a model is published."""
        return published(self._workspace) is not None

    def __call__(self, shown: Shown, category: str) -> Pixels:
        """Return a picture that glows where something speaks for a category, [size, size, 3].

        Raises:
            UsageError: the model does not know the category, or the picture cannot be read.
            BundleError: there is no model.
        """
        from retrain.evaluate.occlusion import (
            occlusion,
        )  # SciPy and matplotlib; the page comes first
        from retrain.plots import overlay

        with self._lock:
            run, answers = self._model()
            categories = run.manifest.labels
            if category not in categories:
                raise UsageError(f"The model knows no category {category!r}.", setting="category")
            try:
                pixels = read_pixels(read_bytes(shown.path), run.rules)
            except BadPicture as error:
                raise UsageError(f"{shown.name} cannot be read any more: {error}.") from error
            number = categories.index(category)
            heat = occlusion(lambda covered: answers(covered).probabilities, pixels, number)
        return overlay(pixels, heat)

    def _model(self) -> tuple[Run, Answers]:
        """Return the published run, opened anew where another one was published."""
        run = open_run(self._workspace.root)
        if self._opened is None or self._opened[0] != run:
            self._opened = run, Answers(run)
        return self._opened


class Once:
    """What is made at its first use, by one thread, and then kept."""

    def __init__(self, make: Callable[[], Callable[[Shown], list[str]]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Callable[[Shown], list[str]] | None = None

    def __call__(self, shown: Shown) -> list[str]:
        """Ask what was made."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return self._made(shown)
