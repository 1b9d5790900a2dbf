"""TensorBoard logs of a training: `tensorboard --logdir RUN/logs`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.metrics import confusion_matrix
from retrain.plots import draw_confusion
from retrain.training.history import EpochRow

MOST_CATEGORIES = 100  # a drawn confusion matrix cannot show more
PROFILED = (4, 8)  # the steps between which the profiler runs
SAMPLE = 16  # number of pictures of the first batch that are shown


class TensorBoard:
    """Writes the logs of each stage to a folder of its own."""

    def __init__(self, folder: Path, categories: Sequence[str], profile: bool = False) -> None:
        """Prepare; files are made when a stage first logs.

        Args:
            folder: the folder of all logs.
            categories: the names of the categories, in the order of the outputs.
            profile: whether to record where the time of some steps goes, once.
        """
        self._folder, self._categories, self._profile = folder, categories, profile
        self._profiling = False
        self._writers: dict[str, Any] = {}

    def _writer(self, stage: str) -> Any:
        if stage not in self._writers:
            self._writers[stage] = tf.summary.create_file_writer(str(self._folder / stage))
        return self._writers[stage]

    def batch(
        self, stage: str, step: int, loss: float, learning_rate: float, inputs: NDArray[Any]
    ) -> None:
        """Log a training step of a stage (from 1), and the pictures of the first one.

        Inputs that are no pixels, since they come from frozen layers, are not shown.
        """
        if self._profile and step == PROFILED[0]:
            tf.profiler.experimental.start(str(self._folder))
            self._profile, self._profiling = False, True
        if step == PROFILED[1]:
            self._end_profile()
        with self._writer(stage).as_default(step):
            tf.summary.scalar("batch/loss", loss)
            tf.summary.scalar("batch/learning_rate", learning_rate)
            if step == 1 and inputs.dtype == np.uint8:
                tf.summary.image("batch", inputs, max_outputs=SAMPLE)

    def epoch(
        self,
        row: EpochRow,
        scores: NDArray[np.float32] | None = None,
        labels: NDArray[np.integer] | None = None,
    ) -> None:
        """Log a round (for the head: a penalty), and what pictures were taken for.

        Args:
            row: the round.
            scores: probabilities of n pictures that are not learned from, [n, k].
            labels: their true categories, int [n].
        """
        self._end_profile()  # of a cycle that is shorter than what is profiled
        with self._writer(row.stage).as_default(row.epoch):
            for name, value in asdict(row).items():
                if isinstance(value, float) and np.isfinite(value):
                    tf.summary.scalar(f"epoch/{name}", value)
            few = len(self._categories) <= MOST_CATEGORIES
            if scores is not None and labels is not None and len(scores) and few:
                cells = confusion_matrix(labels, scores.argmax(axis=1), scores.shape[1])
                figure = draw_confusion(cells, self._categories)
                tf.summary.image("confusion", _pixels(figure)[None])
        self._writer(row.stage).flush()

    def _end_profile(self) -> None:
        if self._profiling:
            tf.profiler.experimental.stop()
            self._profiling = False


def _pixels(figure: Figure) -> Pixels:
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
