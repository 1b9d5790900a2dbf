"""Whether left and right mean something: then views for fine-tuning must not be mirrored.

Letters, arrows and left hands turn into something else in a mirror. Heads that had not seen a
picture are asked about its mirror image: where a category is no longer known there, though it is
known as it is, flips would teach what is wrong.
"""

import numpy as np
from numpy.typing import NDArray

from retrain.data.stream import evenly, pixel_batches
from retrain.model.predict import BATCH, Forward
from retrain.training.head import Head
from retrain.training.task import Task

ASKED, ALL_ASKED = 40, 600  # pictures of a category, and of all
FEWEST = 8  # of a category, below which nothing is said of it
LOST = 0.3  # share of a category's pictures that a mirror makes wrong on balance


def changed_by_mirror(task: Task, head: Head, forward: Forward) -> list[int]:
    """Return the indices of categories that heads know as they are, and not mirrored.

    Args:
        task: its pictures; up to `ASKED` of each category are looked at, fewer of many categories.
        head: of all pictures, with those of the folds.
        forward: of the backbone, from pixels to features.
    """
    train, fold = task.parts["train"], head.crossed.fold
    judged = head.crossed.judged
    found, asked = [], max(FEWEST, min(ASKED, ALL_ASKED // len(task.categories)))
    for category in range(len(task.categories)):
        rows = evenly(np.flatnonzero(judged & (train.labels == category)).tolist(), asked)
        if len(rows) < FEWEST:
            continue
        paths = [train.pictures[row].path for row in rows]
        features = np.concatenate(
            [forward(pixels[:, :, ::-1]) for pixels in pixel_batches(paths, task.rules, BATCH)]
        )
        mirrored = _guesses(head, features, fold[rows])
        plain = head.crossed.logits[rows].argmax(axis=1)
        if is_changed(plain == category, mirrored == category):
            found.append(category)
    return found


def is_changed(plain: NDArray[np.bool_], mirrored: NDArray[np.bool_]) -> bool:
    """Tell by who is right about n pictures, as they are and mirrored, whether a mirror matters.

    Chance alone would make as many right as wrong (McNemar 1947); the excess must be above two
    standard errors, and large.
    """
    lost, won = int((plain & ~mirrored).sum()), int((~plain & mirrored).sum())
    return bool(lost - won > max(LOST * len(plain), 2 * np.sqrt(lost + won)))


def _guesses(
    head: Head, features: NDArray[np.float32], fold: NDArray[np.integer]
) -> NDArray[np.intp]:
    """Return what heads say that had not seen these pictures, int [n]."""
    guesses = np.empty(len(fold), np.intp)
    for number in np.unique(fold):
        own = fold == number
        guesses[own] = head.crossed.heads[int(number)].logits(features[own]).argmax(axis=1)
    return guesses
