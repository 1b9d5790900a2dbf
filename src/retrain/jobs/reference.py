"""What a bundle keeps so that it can tell pictures that are unlike all that it learned from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.data.records import HELD_OUT, Picture
from retrain.data.stream import cores, evenly, pixel_batches
from retrain.infer.familiar import MOST, Array, Reference, distances, reference_rows, spread
from retrain.infer.litert import LiteRT
from retrain.progress import Reporter, counted
from retrain.run import Run
from retrain.training.labelled import Labelled
from retrain.training.recipe import Learned
from retrain.training.task import Task

MOST_USUAL = 5000  # pictures whose distances are kept
ENOUGH = 50  # held-back pictures that say how far pictures of this kind lie
BATCH = 16


def expected_seconds(task: Task, seconds_per_picture: float) -> float:
    """Return about how long it takes with a fine-tuned model, which looks at the pictures again."""
    jury = 2 * len(_first_jury(task))
    kept = 2 * min(MOST, len(task.parts["train"].labels))
    held_back = sum(len(task.parts[side].labels) for side in HELD_OUT)
    return seconds_per_picture * (jury + kept + min(held_back, MOST_USUAL))


def write_reference(
    learned: Learned, task: Task, run: Run, report: Reporter
) -> dict[str, Any] | None:
    """Keep features of some training pictures, and how far pictures of their kind lie from them.

    Args:
        learned: the trained model, whose exports are written already.
        task: the pictures.
        run: whose file it is.
        report: hears what is kept.

    Returns:
        What was kept, as JSON values; None if nothing is to be kept, or known.
    """
    if not task.config.reference:
        return None
    kept, usual, source = _by_head(task) if learned.stage == "head" else _tuned(learned, task, run)
    if not len(usual):
        return None
    reference = Reference(
        kept.astype(np.float16).astype(np.float32),  # as it will be read
        np.sort(evenly(np.sort(usual).tolist(), MOST_USUAL)).astype(np.float32),
    )
    reference.write(run.reference)
    report.say(
        f"The model keeps the features of {counted(len(kept), 'picture')}, which are numbers and "
        "no pixels, to tell what is unlike them."
    )
    return {
        "pictures": len(kept),
        "judged_by": source,
        "pictures_that_judged": len(usual),
        "least_familiar": reference.limit,
    }


def _by_head(task: Task) -> tuple[Array, Array, str]:
    """Return features kept, the distances of all pictures, and what these are in words.

    A head changes no feature: none of them has learned from any picture, and each is compared with
    those that do not belong to it.
    """
    train = task.parts["train"]
    rows = reference_rows(train.labels)
    _, groups = np.unique(np.array(task.groups), return_inverse=True)
    judging = np.array(evenly(range(len(groups)), MOST_USUAL))
    kept = train.features[rows]
    usual = distances(train.features[judging], kept, (groups[judging], groups[rows]))
    return kept, usual, "training pictures, without their relatives"


def _tuned(learned: Learned, task: Task, run: Run) -> tuple[Array, Array, str]:
    """Return the same for a fine-tuned model, whose features have learned from pictures."""
    litert = LiteRT(run.litert, cores())

    def features(pictures: Sequence[Picture]) -> Array:
        batches = pixel_batches([picture.path for picture in pictures], task.rules, BATCH)
        found = [litert.run(pixels).features for pixels in batches]
        return np.concatenate(found) if found else np.empty((0, 1), np.float32)

    train, jury = task.parts["train"], _first_jury(task)
    own = train if learned.refitted else _without(train, jury)
    rows = reference_rows(own.labels)
    kept = features([own.pictures[row] for row in rows])
    unseen = [picture for side in HELD_OUT for picture in task.parts[side].pictures]
    if len(unseen) < ENOUGH and learned.strangeness is not None:
        usual = learned.strangeness * np.float32(spread(kept))
        return kept, usual, "one fold, by the model that it judged"
    if len(unseen) < ENOUGH and len(jury):
        return kept, distances(features([train.pictures[row] for row in jury]), kept), "one fold"
    found = features(evenly(unseen, MOST_USUAL))
    return kept, distances(found, kept), "pictures held back"


def _first_jury(task: Task) -> NDArray[np.intp]:
    """Return the rows of training pictures that the first cycle did not learn from."""
    first = task.juries()[:1]
    return np.flatnonzero(np.isin(task.folds.of_picture, first))


def _without(train: Labelled, rows: NDArray[np.intp]) -> Labelled:
    return train.some(np.setdiff1d(np.arange(len(train.labels)), rows))
