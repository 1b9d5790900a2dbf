"""What trains: a model, its optimiser, and the compiled step of both."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from retrain.training.optim import Step, set_pace


@dataclass(frozen=True)
class Learner:
    """What trains.

    model: from pixels, or from activations of frozen layers, to logits.
    optimizer: the optimiser of the model's trainable variables.
    step: one training step of this optimiser on this model; it returns the loss.
    peak: the highest learning rate of the head.
    """

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    step: Step
    peak: float

    def set_pace(self, share: float, momentum: float) -> None:
        """Set the learning rates of the next steps to a share of their peaks, and the momentum."""
        set_pace(self.optimizer, share, momentum)

    @contextlib.contextmanager
    def unchanged(self) -> Iterator[None]:
        """Put model and optimiser back afterwards, bit for bit, whatever was tried."""
        variables = [*self.model.variables, *self.optimizer.variables]
        before = [keras.ops.convert_to_numpy(variable).copy() for variable in variables]
        try:
            yield
        finally:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
