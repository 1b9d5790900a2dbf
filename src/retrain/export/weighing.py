"""Weighs the int8 model against float32, and decides whether guesses may use it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from retrain.data.images import PixelRules, Pixels
from retrain.data.stream import cores, evenly, pixel_batches
from retrain.export.int8 import (
    MISSES_ALLOWED,
    SPEEDUP_WANTED,
    Agreement,
    corrected_head,
    correction,
    export_int8,
    measure_agreement,
)
from retrain.files import atomic_writer
from retrain.infer.cascade import Quantised, QuantisedHead
from retrain.infer.litert import LiteRT
from retrain.model.classifier import Classifier
from retrain.progress import Reporter, counted, duration
from retrain.run import Run

Array = NDArray[np.float32]

SAMPLES = 100  # number of pictures whose activations set the ranges of int8
SECONDS_PER_SAMPLE = 0.1  # time that the converter takes, on a small backbone
TIMED_BATCHES = 5  # number of batches whose time is taken
BATCH = 16


@dataclass(frozen=True)
class Sample:
    """Pictures to weigh by, best such as the heads had not seen: learned ones are decided clearly.

    paths: of the pictures.
    features: the float32 model's features of them, [n, d]; None where they are not known.
    heads: kernel [d, k] and bias [k] of heads that had not seen some of the pictures, by number.
    head_of: the number of the head that speaks about each picture, int [n]; `OWN` for the model's
        own. None if that speaks about all.
    """

    OWN: ClassVar[int] = -1

    paths: Sequence[Path]
    features: Array | None
    heads: Mapping[int, tuple[Array, Array]] = field(default_factory=dict)
    head_of: NDArray[np.integer] | None = None


@dataclass(frozen=True)
class _Measured:
    """int8's and float32's features of the same pictures, [n, d]; seconds of both, a batch each."""

    quantised: Array
    exact: Array
    seconds: Sequence[tuple[float, float]]


def expected_seconds(pictures: int, seconds_per_picture: float, both: bool) -> float:
    """Return about how long int8 takes to be made and weighed.

    Args:
        pictures: to weigh by.
        seconds_per_picture: the time of one forward pass in float32.
        both: whether float32 must look at them, too, since its features are not known.
    """
    looks = 1.5 if both else 0.5
    return SAMPLES * SECONDS_PER_SAMPLE + looks * seconds_per_picture * pictures


def weigh_int8(
    classifier: Classifier,
    run: Run,
    sample: Sample,
    report: Reporter,
    *,
    seconds_per_picture: float,
) -> dict[str, Any]:
    """Make the int8 model, and decide whether guesses may use it.

    Args:
        classifier: the trained model; its float32 exports are written already.
        run: the run that holds the exports.
        sample: the pictures to weigh by.
        report: hears the estimate and the verdict.
        seconds_per_picture: the time of one forward pass in float32, for the estimate.

    Returns:
        JSON values: `offered`, `reason`, and everything that was measured.
    """
    both = sample.features is None
    seconds = expected_seconds(len(sample.paths), seconds_per_picture, both)
    report.say(
        f"int8: comparing it with float32 on {counted(len(sample.paths), 'picture')}, "
        f"about {duration(seconds)}."
    )
    rules = classifier.rules
    export_int8(
        classifier.network, rules, _one_by_one(evenly(sample.paths, SAMPLES), rules), run.int8
    )
    kernel, bias = (values / classifier.temperature for values in classifier.head)
    quantised = Quantised(run.int8, QuantisedHead(kernel, bias), cores())
    measured = _measure(quantised, LiteRT(run.litert, cores()), sample, rules)
    scale, offset = correction(measured.quantised, measured.exact)
    head = corrected_head((scale, offset), kernel, bias)
    with atomic_writer(run.int8_head) as part, part.open("wb") as file:
        np.savez(file, kernel=head[0], bias=head[1], scale=scale, offset=offset)
    agreement = measure_agreement(*_logits(measured, sample, (kernel, bias), classifier))
    verdict = _verdict(agreement, measured.seconds)
    verdict["pictures_learned_from"] = sample.head_of is None
    report.say(f"int8: {verdict['reason']}.")
    return verdict


def _logits(
    measured: _Measured, sample: Sample, own: tuple[Array, Array], classifier: Classifier
) -> tuple[Array, Array]:
    """Return logits [n, k] of int8 and of float32, by heads that had not seen the pictures."""
    numbers = np.full(len(measured.exact), Sample.OWN)
    if sample.head_of is not None:
        numbers = np.asarray(sample.head_of)
    quantised = np.empty((len(numbers), len(own[1])), np.float32)
    exact = np.empty_like(quantised)
    corrections = correction(measured.quantised, measured.exact)
    for number in np.unique(numbers).tolist():
        rows = numbers == number
        kernel, bias = own
        if number in sample.heads:
            kernel, bias = (v / classifier.temperature for v in sample.heads[number])
        head = corrected_head(corrections, kernel, bias)
        quantised[rows] = measured.quantised[rows] @ head[0] + head[1]
        exact[rows] = measured.exact[rows] @ kernel + bias
    return quantised, exact


def _one_by_one(paths: Sequence[Path], rules: PixelRules) -> Iterator[Pixels]:
    return (one for batch in pixel_batches(paths, rules, 1) for one in batch)


def _measure(quantised: Quantised, litert: LiteRT, sample: Sample, rules: PixelRules) -> _Measured:
    found: list[Array] = []
    exact: list[Array] = []
    times: list[tuple[float, float]] = []
    for pixels in pixel_batches(sample.paths, rules, BATCH):
        found.append(quantised.features(pixels))
        if sample.features is None:
            exact.append(litert.run(pixels).features)
        if len(times) <= TIMED_BATCHES:
            times.append(_seconds_in_turn(quantised, litert, pixels))
    truth = sample.features if sample.features is not None else np.concatenate(exact)
    return _Measured(np.concatenate(found), truth, times[1:] or times)  # the first one warms up


def _verdict(agreement: Agreement, times: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return JSON values: whether the cascade is offered, why, and everything measured."""
    first = median(int8 for int8, _ in times)
    second = median(float32 for _, float32 in times)
    speedup = second / (first + agreement.second_looks * second)
    share = agreement.disagreements / agreement.pictures
    measured = (
        f"{agreement.disagreements} of {counted(agreement.pictures, 'picture')} guessed "
        f"differently, {agreement.second_looks:.1%} looked at twice, {speedup:.1f} times as fast "
        "as float32"
    )
    if share > MISSES_ALLOWED:
        reason = f"it is not used ({measured}): at most {MISSES_ALLOWED:.1%} may differ"
    elif speedup < SPEEDUP_WANTED:
        reason = f"it is not used ({measured}): it must be {SPEEDUP_WANTED} times as fast"
    else:
        reason = f"it is used, with second looks in float32 ({measured})"
    offered = share <= MISSES_ALLOWED and speedup >= SPEEDUP_WANTED
    return {"offered": offered, "reason": reason, **asdict(agreement), "speedup": speedup}


def _seconds_in_turn(quantised: Quantised, litert: LiteRT, pixels: Pixels) -> tuple[float, float]:
    start = time.perf_counter()
    quantised.features(pixels)
    middle = time.perf_counter()
    litert.run(pixels)
    return middle - start, time.perf_counter() - middle
