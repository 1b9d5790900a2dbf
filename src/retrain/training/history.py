"""The lines of history.csv."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRow:
    """One line of history.csv: an epoch of fine-tuning, or one penalty of the head.

    stage: "head" or "fine_tune".
    epoch: the number of the epoch, or of the penalty, from 1.
    penalty: the penalty of the head; None for fine-tuning.
    train_loss: the training loss; for fine-tuning on random views, against smoothed targets.
    valid_loss: the validation loss at the temperature that suits it.
    error_rate: the share of validation pictures that are named wrongly, 0..1.
    macro_f1: macro-F1 on validation pictures, 0..1.
    learning_rate: the highest learning rate of the head in this epoch; None for the head stage.
    seconds: the wall time, validation included.
    """

    stage: str
    epoch: int
    penalty: float | None
    train_loss: float
    valid_loss: float
    error_rate: float
    macro_f1: float
    learning_rate: float | None
    seconds: float
