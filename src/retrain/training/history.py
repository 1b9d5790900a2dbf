"""The lines of history.csv."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRow:
    """One line of history.csv: a round of fine-tuning, or one penalty of the head.

    stage: "head"; "fine_tune"; "fold_1" and so on, in which further folds are kept out to judge; or
        "refit", which learns from all pictures, so that none is left to judge it.
    epoch: the number of the round, or of the penalty, from 1.
    step: the number of steps that were taken by then; None for the head.
    penalty: the penalty of the head; None for fine-tuning.
    train_loss: the training loss; for fine-tuning on random views, against smoothed targets.
    valid_loss: the loss on pictures that are not learned from, at the temperature that suits it.
    error_rate: the share of these pictures that are named wrongly, 0..1.
    macro_f1: macro-F1 on these pictures, 0..1.
    learning_rate: the highest learning rate of the head in this round; None for the head stage.
    seconds: the wall time, validation included.
    """

    stage: str
    epoch: int
    step: int | None
    penalty: float | None
    train_loss: float
    valid_loss: float | None
    error_rate: float | None
    macro_f1: float | None
    learning_rate: float | None
    seconds: float
