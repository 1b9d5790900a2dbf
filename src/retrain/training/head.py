"""The head on bottleneck features: multinomial logistic regression, solved to its optimum.

The problem is convex, so L-BFGS finds the one solution in a second or two; there is no learning
rate and no number of epochs, only the strength of the L2 penalty, which the loss on pictures
chooses that the head has not learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain.config import HeadConfig
from retrain.progress import Reporter, counted, duration
from retrain.training.calibration import Calibration
from retrain.training.crossfit import CrossFitted, Trial, cross_fit, seconds_expected
from retrain.training.examples import Examples
from retrain.training.folds import Folds
from retrain.training.history import EpochRow
from retrain.training.labelled import Labelled, Varied
from retrain.training.regression import Array

COLUMNS = ("penalty", "train loss", "judged loss", "error rate", "macro-F1", "time")
SOURCE = "cross-fitted"  # the pictures that the temperature was fitted on


@dataclass(frozen=True)
class Head:
    """The head that learned from all training pictures, and the answers of those that judged.

    examples: what it learned from, as numbers.
    crossed: heads of the folds and their answers; its chosen trial is this head.
    """

    examples: Examples
    crossed: CrossFitted

    @property
    def chosen(self) -> Trial:
        """The fit of the chosen penalty."""
        return self.crossed.chosen

    @property
    def kernel(self) -> Array:
        """Weights float32 [d, k] of features."""
        return self.chosen.head.kernel

    @property
    def bias(self) -> Array:
        """Float32 [k]."""
        return self.chosen.head.bias

    @property
    def calibration(self) -> Calibration:
        """The temperature, fitted on the answers of all folds."""
        pictures = int(self.crossed.judged.sum())
        return Calibration(self.chosen.temperature, SOURCE, pictures)

    def logits(self, features: Array) -> Array:
        """Return float32 [n, k] for features [n, d]."""
        return self.chosen.head.logits(features)

    def rows(self) -> tuple[EpochRow, ...]:
        """Return a line of the history for each penalty that was tried."""
        return tuple(_row(i, trial) for i, trial in enumerate(self.crossed.trials, start=1))


def fit_head(
    train: Labelled,
    folds: Folds,
    groups: Sequence[str],
    config: HeadConfig,
    weights: NDArray[np.float64] | None,
    report: Reporter,
    *,
    varied: Varied | None = None,
) -> Head:
    """Fit the head on cached features, with as many penalties as it takes.

    Heads fitted on the other folds speak about the pictures of each fold: these answers choose the
    penalty, fit the temperature and say how good the head is.

    Args:
        train: pictures to learn from.
        folds: who judges whom.
        groups: what each picture belongs to.
        config: the recipe.
        weights: of a picture by its category, float [k]; None if all count the same. Scores stay
            those of categories as frequent as they are.
        report: hears the estimate and shows a row a penalty.
        varied: what was made of the pictures; heads learn from it as from its originals, and it is
            judged by none.
    """
    examples = Examples(train.features, train.labels, groups, weights, varied)
    seconds = seconds_expected(examples, len(folds.numbers()) + 1)
    report.say(
        f"Head: logistic regression on {counted(len(train.labels), 'picture')}, cross-validated "
        f"in {config.folds} folds, about {duration(seconds)}."
    )
    row_out = report.table(COLUMNS)
    crossed = cross_fit(examples, folds.of_picture, config, lambda trial: row_out(_cells(trial)))
    return Head(examples, crossed)


def _row(number: int, trial: Trial) -> EpochRow:
    return EpochRow(
        stage="head",
        epoch=number,
        step=None,
        penalty=trial.penalty,
        train_loss=trial.train_loss,
        valid_loss=trial.judged_loss,
        error_rate=trial.error_rate,
        macro_f1=trial.macro_f1,
        learning_rate=None,
        seconds=trial.seconds,
    )


def _cells(trial: Trial) -> list[str]:
    return [
        f"{trial.penalty:g}",
        f"{trial.train_loss:.4f}",
        f"{trial.judged_loss:.4f}",
        f"{trial.error_rate:.4f}",
        f"{trial.macro_f1:.4f}",
        f"{trial.seconds:.1f} s",
    ]
