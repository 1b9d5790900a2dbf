"""The int8 backbone, and how its guesses are made to agree with the float32 model's.

Weights and activations of the backbone are quantised, weights per channel. The head stays in
float32, so that scores do not come in steps of 1/256. What quantisation does to each feature on
average is undone by a scale and an offset per feature, which go into the head. A guess whose two
best categories lie close together is made again in float32, by the cascade of `infer/cascade.py`.
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
SPEEDUP_WANTED = 1.3  # least speed of the cascade relative to float32, second looks included
NOISE_COVERED = 0.9  # share of pictures whose margin moves by less than the threshold
FOLDS = 5


def export_int8(
    model: keras.Model, rules: PixelRules, samples: Iterable[Pixels], path: Path
) -> None:
    """Write the quantised backbone: uint8 [n, size, size, 3] to `features` float32 [n, d].

    Args:
        model: the float32 model, from uint8 pixels to logits.
        rules: the pixel rules, which decide the input size.
        samples: real pictures, uint8 [size, size, 3] each, whose activations set the ranges.
        path: the file to write.
    """
    export_litert(model, feature_outputs(model), rules, path, samples)


def correction(quantised: Array, exact: Array) -> tuple[Array, Array]:
    """Return what undoes quantisation on average, by least squares: exact = scale * int8 + offset.

    Args:
        quantised: the features of n pictures by the int8 backbone, float32 [n, d].
        exact: the features of the same pictures by the float32 backbone, float32 [n, d].

    Returns:
        Scale and offset of each feature, float32 [d].
    """
    mean_quantised, mean_exact = quantised.mean(axis=0), exact.mean(axis=0)
    spread = quantised - mean_quantised
    variance = (spread**2).mean(axis=0)
    covariance = (spread * (exact - mean_exact)).mean(axis=0)
    live = variance > 1e-12  # a feature that never changes has no scale
    scale = np.where(live, covariance / np.where(live, variance, 1), 1).astype(np.float32)
    return scale, np.asarray(mean_exact - scale * mean_quantised, np.float32)


def corrected_head(
    corrections: tuple[Array, Array], kernel: Array, bias: Array
) -> tuple[Array, Array]:
    """Return a head for quantised features.

    Args:
        corrections: scale and offset of each feature, float32 [d].
        kernel: the kernel of the head on exact features, float32 [d, k].
        bias: the bias of that head, float32 [k].

    Returns:
        The kernel, float32 [d, k], and the bias, float32 [k], for quantised features.
    """
    scale, offset = corrections
    return kernel * scale[:, None], np.asarray(bias + offset @ kernel, np.float32)


def choose_threshold(quantised: Array, exact: Array) -> float:
    """Return the margin below which a guess of the quantised model wants a second look.

    It is how far quantisation moves the margin of nine pictures in ten: a lead beyond that is real.
    Choosing it by the few guesses that differ would follow the oddest of them.

    Args:
        quantised: the logits of the quantised model, float32 [n, k].
        exact: the logits of the float32 model on the same pictures, float32 [n, k].
    """
    pair = np.argsort(-quantised, axis=1)[:, :2]
    best, second = np.take_along_axis(exact, pair, axis=1).T
    moved = np.abs(margins(quantised) - (best - second))
    return float(np.quantile(moved, NOISE_COVERED))


@dataclass(frozen=True)
class Agreement:
    """How a cascade compares with float32.

    pictures: the number of pictures compared.
    threshold: the margin of logits below which there is a second look.
    second_looks: the share of pictures with a smaller margin, 0..1.
    disagreements: the number of pictures on which the best category differs, found by
        cross-validation, that is, with thresholds that were chosen on other pictures.
    upper_95: the upper 95 % bound of their share.
    """

    pictures: int
    threshold: float
    second_looks: float
    disagreements: int
    upper_95: float


def measure_agreement(quantised: Array, exact: Array) -> Agreement:
    """Choose the threshold on all pictures, and measure by cross-validation how well it does.

    Args:
        quantised: the logits of the quantised model, float32 [n, k].
        exact: the logits of the float32 model on the same pictures, float32 [n, k].
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
