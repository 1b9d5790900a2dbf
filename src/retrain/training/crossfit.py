"""Cross-fitting: every picture is judged by a head that has not learned from it or its relatives.

The penalty is the one of the lowest loss on these answers, each at the temperature that suits the
other folds. What choosing it on the published rows flatters them by is estimated by a bootstrap of
whole groups and taken off (BBC-CV, Tsamardinos, Greasidou and Borboudakis 2018,
https://doi.org/10.1007/s10994-018-5714-4).
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from retrain.config import HeadConfig
from retrain.data.stream import cores
from retrain.metrics import error_rate, log_loss, macro_f1, softmax
from retrain.training.calibration import fit_temperature, losses
from retrain.training.examples import Examples, side_by_side
from retrain.training.folds import UNJUDGED
from retrain.training.optimism import Optimism, optimism
from retrain.training.regression import Array, Exact, Linear, Point, Regression

PATIENCE = 2  # penalties in a row that bring nothing
GAIN = 0.01  # share of the loss that a penalty must save to bring something
STEP = math.sqrt(10)  # from penalty to penalty beyond the ends of the grid
ENDS = (1e-7, 1e3)  # of all grids
TRIED_ON = 2048  # pictures, to see how fast the machine is
TRIAL_STEPS = 5
STEPS = 90  # of a fit along all penalties: 58 to 197 on eight sets


@dataclass(frozen=True)
class Trial:
    """What came of one penalty.

    head: fitted on all pictures.
    temperature: that suits the judged pictures.
    train_loss: of the head on the pictures that it learned from, at that temperature.
    judged_loss: the mean over judged pictures, each at the temperature of the other folds; NaN
        where there are none, as are the next two.
    error_rate, macro_f1: of the judged pictures.
    """

    penalty: float
    head: Linear
    temperature: float
    train_loss: float
    judged_loss: float
    error_rate: float
    macro_f1: float
    seconds: float


@dataclass(frozen=True)
class CrossFitted:
    """Answers of heads that had not seen the picture.

    fold: int [n], `UNJUDGED` where there is no answer. logits: float32 [n, k], NaN there.
    temperatures: by fold, fitted on the others. heads: by fold. trials: one a penalty, in the order
    they were tried. best: the index of the chosen one.
    """

    fold: NDArray[np.int64]
    logits: Array
    temperatures: dict[int, float]
    heads: dict[int, Linear]
    trials: tuple[Trial, ...]
    best: int
    optimism: Optimism

    @property
    def chosen(self) -> Trial:
        """The trial of the chosen penalty."""
        return self.trials[self.best]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Whether a picture has an answer, bool [n]."""
        return np.asarray(self.fold != UNJUDGED)

    def probabilities(self) -> Array:
        """Return calibrated probabilities float32 [n, k], NaN where a picture is not judged."""
        by_row = np.ones((len(self.fold), 1), np.float32)
        for number, temperature in self.temperatures.items():
            by_row[self.fold == number] = temperature
        return softmax(self.logits / by_row)


def cross_fit(
    examples: Examples,
    fold: NDArray[np.integer],
    config: HeadConfig,
    tell: Callable[[Trial], None] = lambda _: None,
) -> CrossFitted:
    """Fit the head for each fold and for all pictures, with as many penalties as it takes.

    Args:
        examples: what is learned from.
        fold: int [n]; `UNJUDGED` for pictures that every head learns from.
        config: the penalties.
        tell: hears of each trial when it is done.
    """
    labels = examples.labels
    judged = fold != UNJUDGED
    grid = config.strengths
    if not judged.any():
        grid = (grid[len(grid) // 2],)  # nothing can choose
    with threadpool_limits(limits=1, user_api="blas"):  # see docs/decisions.md
        path = _Path(examples, fold, config)
        rows: list[tuple[Exact, NDArray[np.bool_]]] = []
        trials: list[Trial] = []
        best: _Answers | None = None

        def loss_at(penalty: float) -> float:
            nonlocal best
            start = time.monotonic()
            answers = path.answers(penalty)
            rows.append((answers.losses(), answers.right()))
            loss = float(rows[-1][0].mean()) if judged.any() else math.nan
            if best is None or loss < min(trial.judged_loss for trial in trials):
                best = answers
            warmth = fit_temperature(answers.logits[judged], labels[judged])
            scores = answers.logits[judged]
            on_train = softmax(answers.head.logits(examples.features), warmth)
            trials.append(
                Trial(
                    penalty=penalty,
                    head=answers.head,
                    temperature=warmth,
                    train_loss=log_loss(on_train, labels),
                    judged_loss=loss,
                    error_rate=error_rate(scores, labels[judged]),
                    macro_f1=macro_f1(scores, labels[judged]),
                    seconds=time.monotonic() - start,
                )
            )
            tell(trials[-1])
            return loss

        walk(grid, loss_at)
    assert best is not None
    chosen = next(i for i, trial in enumerate(trials) if trial.head is best.head)
    names = [group for group, seen in zip(examples.groups, judged, strict=True) if seen]
    return CrossFitted(
        np.asarray(fold, np.int64),
        best.logits,
        best.temperatures,
        best.heads,
        tuple(trials),
        chosen,
        optimism(np.stack([r[0] for r in rows]), np.stack([r[1] for r in rows]), names, chosen),
    )


def seconds_expected(examples: Examples, fits: int) -> float:
    """Foretell how long `cross_fit` takes on this machine, within a factor of about two.

    Args:
        examples: what is learned from.
        fits: folds and one.
    """
    clock = time.perf_counter
    with threadpool_limits(limits=1, user_api="blas"):
        begin = clock()
        axes = examples.axes  # found once, kept
        found = clock()
        rows = np.random.default_rng(0).permutation(len(examples.labels))[:TRIED_ON]
        parts, labels = [examples.features[rows]], examples.labels[rows]
        trial = Regression(parts, labels, examples.categories, examples.weights, axes)
        built = clock()
        trial.solve(0.1, None, TRIAL_STEPS)
        step = (clock() - built) / (TRIAL_STEPS + 2)
    larger = max(1.0, (fits - 1) / fits * len(examples.labels) / len(rows))
    each = (built - found) * larger + STEPS * step * larger
    return found - begin + fits * each / min(cores(), fits)


def rough_heads(examples: Examples, fold: NDArray[np.integer], penalty: float) -> dict[int, Linear]:
    """Return a rough head for each fold, which has not seen it; by fold.

    Args:
        examples: what is learned from.
        fold: int [n]; every head learns from the pictures that are `UNJUDGED`.
        penalty: of the heads.
    """
    numbers = [int(n) for n in np.unique(fold) if n != UNJUDGED]

    def fit(number: int) -> Linear:
        return examples.rough_head(np.flatnonzero(fold != number), penalty)

    with threadpool_limits(limits=1, user_api="blas"):  # see docs/decisions.md
        return dict(zip(numbers, side_by_side(fit, numbers), strict=True))


def held_out_logits(examples: Examples, fold: NDArray[np.integer], penalty: float) -> Array:
    """Return float32 [n, k] of rough heads that had not seen the picture's fold.

    Args:
        examples: what is learned from.
        fold: int [n]; the logits of `UNJUDGED` pictures are NaN.
        penalty: of the head.
    """
    found = np.full((len(fold), examples.categories), np.nan, np.float32)
    put_said(found, rough_heads(examples, fold, penalty), examples.features, fold)
    return found


def put_said(
    found: Array, heads: Mapping[int, Linear], features: Array, fold: NDArray[np.integer]
) -> None:
    """Write into each row of `found` [n, k] what the head of its fold says, where there is one."""
    for number, head in heads.items():
        found[fold == number] = head.logits(features[fold == number])


def walk(grid: Sequence[float], loss_at: Callable[[float], float]) -> None:
    """Try penalties from the strongest on until some in a row bring nothing.

    Where the best is at an end of the grid, it goes on beyond.

    Args:
        grid: the strongest first; one alone is not left.
        loss_at: tries a penalty.
    """
    tried: dict[float, float] = {}

    def go(penalties: Iterator[float]) -> None:
        behind = 0
        for penalty in penalties:
            least = min(tried.values(), default=math.inf)
            tried[penalty] = loss_at(penalty)
            behind = 0 if tried[penalty] < (1 - GAIN) * least else behind + 1
            if behind == PATIENCE:
                return

    if len(grid) == 1:
        loss_at(grid[0])
        return
    go(chain(grid, _beyond(grid[-1], 1 / STEP)))
    if min(tried, key=lambda penalty: tried[penalty]) == grid[0]:
        go(_beyond(grid[0], STEP))


def _beyond(penalty: float, step: float) -> Iterator[float]:
    for i in count(1):
        following = float(f"{penalty * step**i:.0e}")  # 3e-05, not 3.16e-05
        if not ENDS[0] <= following <= ENDS[1]:
            return
        yield following


@dataclass
class _Answers:
    """The heads of one penalty and what they say."""

    head: Linear
    heads: dict[int, Linear]
    logits: Array
    labels: NDArray[np.integer]
    fold: NDArray[np.integer]
    temperatures: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in self.heads:
            others = (self.fold != number) & (self.fold != UNJUDGED)
            self.temperatures[number] = fit_temperature(self.logits[others], self.labels[others])

    def losses(self) -> Exact:
        """Return the log loss of each judged picture, bounded as in `metrics.log_loss`."""
        found = np.full(len(self.labels), np.nan)
        for number, temperature in self.temperatures.items():
            own = self.fold == number
            found[own] = losses(self.logits[own], self.labels[own], temperature)
        np.minimum(found, -math.log(1e-7), out=found)
        return np.asarray(found[self.fold != UNJUDGED])

    def right(self) -> NDArray[np.bool_]:
        """Return whether each judged picture is named rightly."""
        seen = self.fold != UNJUDGED
        return np.asarray(self.logits[seen].argmax(axis=1) == self.labels[seen])


class _Path:
    """One regression a fold and one of all pictures, along the penalties."""

    def __init__(self, examples: Examples, fold: NDArray[np.integer], config: HeadConfig) -> None:
        self.examples, self.fold, self.config = examples, fold, config
        order = np.argsort(fold, kind="stable")  # so that what a fold leaves are two slices
        self.order, self.features = order, examples.features[order]
        self.numbers = [int(n) for n in np.unique(fold) if n != UNJUDGED]
        self.slices = {
            number: slice(*np.searchsorted(fold[order], [number, number + 1]))
            for number in self.numbers
        }

        def without(own: slice) -> Regression:
            parts = [self.features[: own.start], self.features[own.stop :]]
            kept = np.concatenate([order[: own.start], order[own.stop :]])
            parts, labels = examples.taught(parts, kept)
            count = examples.categories
            return Regression(parts, labels, count, examples.weights, examples.axes)

        nothing = slice(len(order), len(order))
        self.fits = side_by_side(without, [nothing, *self.slices.values()])
        self.points: dict[float, list[Point]] = {}

    def answers(self, penalty: float) -> _Answers:
        """Fit all heads, from the nearest penalty that was tried, and let them speak."""
        starts: list[Point | None] = [None] * len(self.fits)
        if self.points:
            near = min(self.points, key=lambda tried: abs(math.log(tried / penalty)))
            starts = [*self.points[near]]
            self.points = {max(self.points): self.points[max(self.points)]}  # what may follow

        def solve(both: tuple[Regression, Point | None]) -> Point:
            return both[0].solve(penalty, both[1], self.config.iterations)

        found = side_by_side(solve, list(zip(self.fits, starts, strict=True)))
        self.points[penalty] = found
        pairs = zip(self.fits, found, strict=True)
        head, *heads = (self.examples.expected(fit.linear(point)) for fit, point in pairs)
        labels = self.examples.labels
        logits = np.full((len(labels), self.examples.categories), np.nan, np.float32)
        for number, own in zip(self.numbers, heads, strict=True):
            rows = self.slices[number]
            logits[self.order[rows]] = own.logits(self.features[rows])
        by_fold = dict(zip(self.numbers, heads, strict=True))
        return _Answers(head, by_fold, logits, labels, self.fold)
