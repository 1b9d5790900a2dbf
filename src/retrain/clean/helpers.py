"""What the page can show besides pictures; each is made at its first use."""

import threading
from collections.abc import Callable
from functools import cached_property

from retrain.clean.album import Shown
from retrain.data.images import BadPicture, Pixels, read_bytes, read_pixels
from retrain.errors import UsageError
from retrain.evaluate.occlusion import occlusion
from retrain.infer.answers import Answers
from retrain.plots import overlay
from retrain.run import Run


class Heat:
    """Draws what in a picture speaks for a category, by the model of a run."""

    def __init__(self, run: Run) -> None:
        """Take a run; its model is opened when the first picture is drawn."""
        self._run = run
        self._lock = threading.Lock()  # one drawing at a time has all cores

    @cached_property
    def _answers(self) -> Answers:
        return Answers(self._run)

    def __call__(self, shown: Shown, category: str) -> Pixels:
        """Return a picture that glows where something speaks for a category, [size, size, 3].

        Raises:
            UsageError: the model does not know the category, or the picture cannot be read.
        """
        categories = self._run.manifest.labels
        if category not in categories:
            raise UsageError(f"The model knows no category {category!r}.", setting="category")
        try:
            pixels = read_pixels(read_bytes(shown.path), self._run.rules)
        except BadPicture as error:
            raise UsageError(f"{shown.name} cannot be read any more: {error}.") from error
        with self._lock:
            heat = occlusion(
                lambda covered: self._answers(covered).probabilities,
                pixels,
                categories.index(category),
            )
        return overlay(pixels, heat)


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
