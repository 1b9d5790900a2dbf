"""The model that is being served, and its replacement while requests come in."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from retrain.bundle import Manifest
from retrain.errors import RetrainError, first_line
from retrain.infer.activation import ClassActivation, open_activation
from retrain.infer.model import Model
from retrain.run import Run
from retrain.workspace import open_run

Log = Callable[..., None]  # an event, and what belongs to it by name
Mark = tuple[Any, ...]  # of one published model; another one has another


@dataclass(frozen=True)
class Served:
    """An opened model with what clients are told of it.

    version: a number that grows with the time of the training, as TensorFlow Serving's do.
    """

    model: Model
    manifest: Manifest
    version: str
    mark: Mark
    _opening: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def _activation(self) -> ClassActivation | None:
        return open_activation(self.model.run.litert, len(self.model.categories))

    def activation(self) -> ClassActivation | None:
        """Return what draws heat maps; None where the network does not allow it. Opened once."""
        with self._opening:
            return self._activation


class Hosted:
    """Holds the published model of a workspace, and takes over the next one.

    A request works with the model that `served` was when it came, so a replacement loses none.
    """

    def __init__(self, root: Path, open_model: Callable[[Run], Model], log: Log) -> None:
        """Open what is published now.

        Args:
            root: a workspace, one of its runs, or a bundle.
            open_model: how a run is opened.
            log: hears of replacements.

        Raises:
            BundleError: there is no model, or it cannot be read.
        """
        self._root, self._open_model, self._log = root, open_model, log
        self._refused: Mark | None = None
        self.taken_over = self.refused = 0
        run = open_run(root)
        self.served = self._opened(run, _mark(run))

    def look(self) -> None:
        """Take over what has been published meanwhile; if it cannot be used, the old one stays."""
        mark: Mark = ("nothing",)
        try:
            run = open_run(self._root)
            mark = _mark(run)
            if mark in (self.served.mark, self._refused):
                return
            fresh = self._opened(run, mark)
        except Exception as error:  # LiteRT and NumPy raise many kinds for a damaged file
            if mark != self._refused:
                self._refused = mark
                self.refused += 1
                expected = isinstance(error, RetrainError)
                reason = str(error) if expected else f"{type(error).__name__}: {first_line(error)}"
                self._log("model refused", reason=reason, served=self.served.manifest.run)
            return
        before, self.served, self._refused = self.served, fresh, None
        self.taken_over += 1
        self._log("model taken over", run=fresh.manifest.run, before=before.manifest.run)

    def _opened(self, run: Run, mark: Mark) -> Served:
        model = self._open_model(run)
        model.warm_up()
        return Served(model, run.manifest, _version(run), mark)


def _mark(run: Run) -> Mark:
    """Tell one published model from another, a copy that replaced its folder included."""
    found = run.manifest_file.stat()
    return (str(run.folder.resolve()), found.st_ino, found.st_mtime_ns, found.st_size)


def _version(run: Run) -> str:
    """Return the time of the training as a number, 20261126010937; "1" where it is not known."""
    with suppress(OSError):
        _, created = run.name_and_time()
        if created is not None:
            return created.strftime("%Y%m%d%H%M%S")
    return "1"
