"""The int8 backbone, and how its guesses are made to agree with the float32 model's.

Weights and activations of the backbone are quantised (weights per channel), the head is not: it
stays in float32, so that scores are not steps of 1/256. What quantisation does to each feature on
average is taken back by one scale and offset a feature, which go into the head. A guess whose two
best categories lie close together is made again in float32: the cascade of `infer/cascade.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from retrain.data.images import PixelRules, Pixels
from retrain.export.litert import export_litert
from retrain.export.outputs import feature_outputs
from retrain.metrics import margins

Array = NDArray[np.float32]

MISSES_ALLOWED = 0.005  # share of pictures on which cascade and float32 may differ
SPEEDUP_WANTED = 1.3  # of the cascade over float32, second looks included
NOISE_COVERED = 0.9  # share of pictures whose margin moved by less than the threshold
FOLDS = 5


def export_int8(
    model: keras.Model, rules: PixelRules, samples: Iterable[Pixels], path: Path
) -> None:
    """Write the quantised backbone: uint8 [n, size, size, 3] to `features` float32 [n, d].

    Args:
        model: uint8 pixels to logits, float32.
        rules: decide the input size.
        samples: uint8 [size, size, 3] each, real pictures whose activations set the ranges.
        path: to write to.
    """
    export_litert(model, feature_outputs(model), rules, path, samples)


def corrected_head(
    quantised: Array, exact: Array, kernel: Array, bias: Array
) -> tuple[Array, Array]:
    """Return a head for quantised features: least squares of exact ~ scale * quantised + offset.

    Args:
        quantised: features of the int8 backbone, float32 [n, d].
        exact: of the float32 backbone, on the same pictures.
        kernel: of the head on exact features, float32 [d, k].
        bias: float32 [k].
    """
    mean_quantised, mean_exact = quantised.mean(axis=0), exact.mean(axis=0)
    spread = quantised - mean_quantised
    variance = (spread**2).mean(axis=0)
    covariance = (spread * (exact - mean_exact)).mean(axis=0)
    live = variance > 1e-12  # a feature that never changes has no scale
    scale = np.where(live, covariance / np.where(live, variance, 1), 1).astype(np.float32)
    offset = mean_exact - scale * mean_quantised
    return kernel * scale[:, None], np.asarray(bias + offset @ kernel, np.float32)


def choose_threshold(quantised: Array, exact: Array) -> float:
    """Return the margin below which a guess of the quantised model wants a second look.

    It is what quantisation does to margins, on nine pictures of ten: a lead beyond that is real.
    Choosing it by the few guesses that differ instead would follow the oddest of them.

    Args:
        quantised: its logits, float32 [n, k].
        exact: the float32 model's.
    """
    pair = np.argsort(-quantised, axis=1)[:, :2]
    best, second = np.take_along_axis(exact, pair, axis=1).T
    moved = np.abs(margins(quantised) - (best - second))
    return float(np.quantile(moved, NOISE_COVERED))


@dataclass(frozen=True)
class Agreement:
    """How a cascade compares with float32.

    threshold: on margins of logits. second_looks: share of pictures below it.
    disagreements: pictures on which the best category differs, found out of fold, that is, with
        thresholds that were chosen on other pictures. upper_95: of their share.
    """

    pictures: int
    threshold: float
    second_looks: float
    disagreements: int
    upper_95: float


def measure_agreement(quantised: Array, exact: Array) -> Agreement:
    """Choose the threshold on all pictures, and say honestly how well such a one does.

    Args:
        quantised: logits, float32 [n, k].
        exact: the same of the float32 model.
    """
    differ = quantised.argmax(axis=1) != exact.argmax(axis=1)
    close = margins(quantised)
    fold = np.arange(len(exact)) % FOLDS
    missed = 0
    for held_out in range(FOLDS):
        others = fold != held_out
        threshold = choose_threshold(quantised[others], exact[others])
        missed += int((differ & ~others & (close >= threshold)).sum())
    threshold = choose_threshold(quantised, exact)
    return Agreement(
        len(exact),
        threshold,
        float((close < threshold).mean()),
        missed,
        upper_95(missed, len(exact)),
    )


def upper_95(count: int, total: int) -> float:
    """Return the upper 95 % bound of a share (Clopper and Pearson 1934, one-sided).

    >>> round(upper_95(0, 300), 4)
    0.0099
    """
    return 1.0 if count >= total else float(betaincinv(count + 1, total - count, 0.95))
