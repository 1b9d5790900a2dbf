"""What a guess needs of an engine, whatever runs underneath."""

from collections.abc import Callable
from queue import LifoQueue
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import Pixels


class Answer(NamedTuple):
    """probabilities: float32 [n, k] in label order. features: float32 [n, d]."""

    probabilities: NDArray[np.float32]
    features: NDArray[np.float32]


class Engine(Protocol):
    """Runs a trained model on pixels, for one caller at a time."""

    def run(self, pixels: Pixels) -> Answer:
        """Answer for uint8 [n, size, size, 3]."""

    def warm_up(self, pixels: Pixels) -> Answer:
        """Answer, with all that any picture may need opened and run."""


class Lanes:
    """An Engine for several callers at a time: engines side by side, opened when wanted.

    lanes: calls that run at once; one more waits. batch: pictures that a call should bring.
    """

    def __init__(self, open_engine: Callable[[], Engine], lanes: int, batch: int) -> None:
        """Open the first engine; what is wrong with the model's files shows at once."""
        self.lanes, self.batch = lanes, batch
        self._open = open_engine
        self._free: LifoQueue[Engine | None] = LifoQueue()
        for _ in range(lanes - 1):
            self._free.put(None)
        self._free.put(open_engine())

    def run(self, pixels: Pixels) -> Answer:
        """Answer for uint8 [n, size, size, 3]; may be called from any thread."""
        engine = self._free.get()
        try:
            engine = engine or self._open()
            return engine.run(pixels)
        finally:
            self._free.put(engine)

    def warm_up(self, pixels: Pixels) -> Answer:
        """Open all engines and run each; for whoever uses them later, their files may be gone."""
        engines = [self._free.get() or self._open() for _ in range(self.lanes)]
        try:
            return [engine.warm_up(pixels) for engine in engines][-1]
        finally:
            for engine in engines:
                self._free.put(engine)
