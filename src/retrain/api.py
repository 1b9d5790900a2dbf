"""The Python API, for notebooks and programs; `retrain/__init__.py` offers it."""

import inspect
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from retrain.cli import train as train_command
from retrain.cli.options import keywords, train_config_of
from retrain.config import ExplainMethod, GuessConfig, GuessPrecision, SortConfig
from retrain.infer import model as infer
from retrain.infer.guess import Source
from retrain.progress import Reporter, Silent
from retrain.run import Run
from retrain.workspace import open_run

if TYPE_CHECKING:
    from retrain.jobs.evaluate import Evaluated
    from retrain.jobs.guess_dir import Sorted

Folder = str | PathLike[str]


def train(
    tf_files: Folder,
    *,
    with_corrections: bool = False,
    fresh: bool = False,
    progress: bool = True,
    gpus: int | None = None,
    cluster: str | None = None,
    profile: bool = False,
    **settings: Any,
) -> Run:
    """Train on the pictures in `tf_files/data/<category>/` and publish the model.

    Args:
        tf_files: the workspace.
        with_corrections: train only if `corrections.csv` says something that the published model
            has not learned yet; every training reads the corrections.
        fresh: forget interrupted trainings instead of going on with one.
        progress: whether news and bars are shown.
        gpus: how many GPUs of this machine share each step of fine-tuning; None for all.
        cluster: HOST:PORT of a Ray cluster's head, or "local"; None for this machine alone.
        profile: whether to record in the run's logs where the time of some steps goes.
        settings: the options of `retrain train` without dashes, with the same defaults and the same
            checks, such as `augment="standard"`, `fine_tune="never"` or `lr=(1e-4, 1e-3)`.

    Returns:
        The published run, with its `accuracy`, `interval`, `report` and `folder`.

    Raises:
        TypeError: there is no such setting.
        RetrainError: see `retrain.errors`; each has the exit code of the command line.
    """
    config = train_config_of(train_command.command, settings)
    from retrain.jobs.retraining import pending_corrections

    pending = pending_corrections(Path(tf_files)) if with_corrections else None
    if pending is not None and not pending:
        return pending.run

    report = _reporter(progress)
    train_command.tell_idle({**settings, **({"profile": True} if profile else {})}, report)
    where = train_command.Where(cluster, gpus, profile)
    trained = train_command.train_on(Path(tf_files), config, report, fresh, "", where)
    if trained.interruption is not None:  # it came while the report was drawn
        raise trained.interruption
    return trained.run


def _train_signature() -> inspect.Signature:
    """Return the signature of `train` with all its settings, for `help` and for completion."""
    own = inspect.signature(train)
    parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default)
        for name, option in keywords(train_command.command).items()
        if name not in own.parameters
    ]
    return own.replace(parameters=parameters)


train.__signature__ = _train_signature()  # type: ignore[attr-defined]


def load(
    tf_files: Folder,
    *,
    precision: GuessPrecision = GuessConfig.precision,
    threads: int | None = None,
) -> "Model":
    """Open a trained model; it stays open and may be used from several threads.

    Args:
        tf_files: the workspace whose published model is wanted, one of its runs, or a bundle that
            was copied elsewhere.
        precision: "float32" or "int8" alone; "auto" is int8 with second looks in float32 where the
            model offers that.
        threads: the number of cores to use; None for all.

    Raises:
        BundleError: there is no model, or this version cannot read it.
    """
    return Model(open_run(Path(tf_files)), precision=precision, threads=threads)


class Model(infer.Model):
    """A trained model: guesses, and what is built on them.

    `guess` and `guess_all` take paths, bytes, PIL images and uint8 arrays.
    """

    def sort(
        self, source: Folder, destination: Folder, *, progress: bool = True, **sorting: Any
    ) -> "Sorted":
        """Copy a folder's pictures to `<destination>/<category>-<score>.<ext>`.

        Args:
            source: the folder of pictures; it is never changed.
            destination: the folder for the copies; it is made if it is missing.
            progress: whether a bar is shown.
            sorting: as for `retrain guess-dir`, such as `recursive=True`, `keep_names=True`, or
                `min_score=0.6` with `unsure="folder"`.

        Raises:
            UsageError: the folders or settings do not fit.
            MachineError: the destination cannot be written.
        """
        from retrain.jobs.guess_dir import sort_with

        if sorting.get("unsure") is not None:
            sorting["unsure"] = Path(sorting["unsure"])
        config = SortConfig(**sorting)
        return sort_with(self, Path(source), Path(destination), config, _reporter(progress))

    def evaluate(self, data: Folder | None = None, *, progress: bool = True) -> "Evaluated":
        """Judge the model by labelled pictures.

        Args:
            data: a folder of labelled pictures, laid out like `tf_files/data`; None for those that
                the training held back.
            progress: whether news and a bar are shown.

        Raises:
            DataError: there are no labelled pictures.
        """
        from retrain.jobs.evaluate import evaluate_with

        return evaluate_with(self, Path(data) if data else None, None, _reporter(progress))

    def explain(
        self,
        picture: Source,
        categories: Sequence[str] = (),
        *,
        method: ExplainMethod = "gradcam",
        layer: str | None = None,
    ) -> Image.Image:
        """Draw a picture beside what in it speaks for a category; this loads TensorFlow.

        Args:
            picture: as for `guess`.
            categories: the categories to explain; none for the model's guess.
            method: of the heat map.
            layer: the name of the layer whose feature maps are used; None for the last ones.

        Returns:
            An image that a notebook shows by itself.

        Raises:
            InputsFailed: the picture cannot be read.
            UsageError: there is no such category or layer, or the method does not suit the network.
        """
        from retrain.jobs.explain import Explainer

        explainer = Explainer(self.run, method, layer)
        return explainer.image(self.pixels(picture), categories)


def _reporter(progress: bool) -> Reporter:
    if not progress:
        return Silent()
    from retrain.cli.console import Terminal, in_notebook

    if in_notebook():
        from retrain.cli.notebook import Notebook

        return Notebook()
    return Terminal()
