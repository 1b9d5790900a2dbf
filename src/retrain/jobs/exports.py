"""The exports of a training: written, compared with Keras, int8 weighed against float32."""

import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import keras
import numpy as np
from numpy.typing import NDArray

from retrain.bundle import BundleFiles
from retrain.data.images import PixelRules, Pixels
from retrain.data.stream import cores, pixel_batches
from retrain.export.int8 import (
    MISSES_ALLOWED,
    SPEEDUP_WANTED,
    Agreement,
    corrected_head,
    export_int8,
    measure_agreement,
)
from retrain.export.litert import export_litert
from retrain.export.outputs import classifier_outputs, freeze
from retrain.export.parity import PICTURES as PARITY_PICTURES
from retrain.export.parity import check_parity
from retrain.export.saved_model import export_saved_model
from retrain.infer.cascade import Quantised
from retrain.infer.litert import LiteRT
from retrain.infer.savedmodel import SavedModel
from retrain.jobs.training_data import TrainingData
from retrain.model.build import LOGITS
from retrain.model.predict import Forward
from retrain.progress import Reporter, counted, duration
from retrain.workspace import atomic_writer

Array = NDArray[np.float32]
T = TypeVar("T")

EXPORT_SECONDS = 12.0  # converting and reloading a small model, besides comparing pictures
INT8_SAMPLES = 100  # pictures whose activations set the ranges of int8
INT8_PICTURES = 5000  # on which int8 is weighed, at most: enough to see 0.1 %
INT8_SECONDS_PER_SAMPLE = 0.1  # of the converter, on a small backbone
TIMED_BATCHES = 5
MOST_PARITY_PICTURES = (
    1000  # of many thousands for validation; an export that is wrong shows on ten
)
BATCH = 16


@dataclass(frozen=True)
class Exports:
    """What came of the exports. checks: parity's findings. cascade: int8's, None without it."""

    checks: Mapping[str, Any]
    cascade: Mapping[str, Any] | None


def write_exports(
    model: keras.Model,
    forward: Forward,
    temperature: float,
    data: TrainingData,
    features: Array | None,
    rules: PixelRules,
    run: Path,
    seconds_per_picture: float,
    int8: bool,
    report: Reporter,
) -> Exports:
    """Write the bundle's models and compare them with Keras'.

    Args:
        model: float32, uint8 pixels to logits.
        forward: of this model.
        temperature: goes into every export.
        data: pictures to compare on.
        features: of this model for `data.pictures`, float32 [n, d]; None if not known.
        rules: how pictures become pixels.
        run: the bundle's folder.
        seconds_per_picture: of one forward pass, for the estimate.
        int8: whether to make and weigh the int8 model.
        report: hears what happens.
    """
    files = BundleFiles(run)
    (run / "labels.txt").write_text("".join(f"{c}\n" for c in data.categories), encoding="utf-8")
    checks = _write_float32(
        model, forward, temperature, data, rules, files, seconds_per_picture, report
    )
    gc.collect()  # the graphs of a large backbone take gigabytes, and int8 needs its own
    cascade = None
    if int8 and checks["passed"]:
        cascade = _weigh_int8(
            model, temperature, data, features, rules, files, seconds_per_picture, report
        )
    return Exports(checks, cascade)


def _write_float32(
    model: keras.Model,
    forward: Forward,
    temperature: float,
    data: TrainingData,
    rules: PixelRules,
    files: BundleFiles,
    seconds_per_picture: float,
    report: Reporter,
) -> dict[str, Any]:
    """Write Keras model, SavedModel and LiteRT; return what parity found."""
    held_out = [p.path for p in data.pictures if data.sides[p.key] == "validation"]
    others = [p.path for p in data.pictures if data.sides[p.key] == "train"]
    paths = _evenly(held_out, MOST_PARITY_PICTURES)
    paths += others[: max(0, PARITY_PICTURES - len(held_out))]
    seconds = EXPORT_SECONDS + 6 * seconds_per_picture * len(paths)
    report.say(
        f"Exporting and comparing on {counted(len(paths), 'picture')}, about {duration(seconds)}."
    )
    model.save(files.keras)
    outputs = classifier_outputs(model, temperature)
    export_saved_model(freeze(outputs, rules), data.categories, rules, files.saved_model)
    export_litert(model, outputs, rules, files.litert)
    saved = SavedModel(files.saved_model, data.categories)
    litert = LiteRT(files.litert, cores())
    runs = {
        "pixels": saved.probabilities,
        "litert": lambda pixels: litert.run(pixels).probabilities,
    }
    return check_parity(forward, temperature, paths, rules, runs, saved.run_files)


def _weigh_int8(
    model: keras.Model,
    temperature: float,
    data: TrainingData,
    features: Array | None,
    rules: PixelRules,
    files: BundleFiles,
    seconds_per_picture: float,
    report: Reporter,
) -> dict[str, Any]:
    """Make the int8 model, and decide whether guesses may use it; return JSON values."""
    seen = [i for i, p in enumerate(data.pictures) if data.sides[p.key] != "test"]
    seen = _evenly(seen, INT8_PICTURES)
    paths = [data.pictures[i].path for i in seen]
    looks = 0.5 if features is not None else 1.5  # int8 alone, or float32 too
    seconds = INT8_SAMPLES * INT8_SECONDS_PER_SAMPLE + looks * seconds_per_picture * len(seen)
    report.say(
        f"int8: comparing with float32 on {counted(len(seen), 'picture')}, "
        f"about {duration(seconds)}."
    )
    samples = (
        one for batch in pixel_batches(_evenly(paths, INT8_SAMPLES), rules, 1) for one in batch
    )
    export_int8(model, rules, samples, files.int8)

    kernel, bias = (values / temperature for values in model.get_layer(LOGITS).get_weights())
    quantised = Quantised(files.int8, kernel, bias, cores())
    litert = LiteRT(files.litert, cores())
    found: list[Array] = []
    exact: list[Array] = []
    times: list[tuple[float, float]] = []
    for pixels in pixel_batches(paths, rules, BATCH):
        found.append(quantised.features(pixels))
        if features is None:
            exact.append(litert.run(pixels).features)
        if len(times) <= TIMED_BATCHES:
            times.append(_seconds_in_turn(quantised, litert, pixels))
    truth = features[seen] if features is not None else np.concatenate(exact)
    head = corrected_head(np.concatenate(found), truth, kernel, bias)
    with atomic_writer(files.int8_head) as part, part.open("wb") as file:
        np.savez(file, kernel=head[0], bias=head[1])
    agreement = measure_agreement(np.concatenate(found) @ head[0] + head[1], truth @ kernel + bias)
    verdict = _verdict(agreement, times[1:] or times)
    report.say(f"int8: {verdict['reason']}.")
    return verdict


def _verdict(agreement: Agreement, times: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Return JSON values: whether the cascade is offered, why, and all that was measured."""
    first = median(int8 for int8, _ in times)
    second = median(float32 for _, float32 in times)
    speedup = second / (first + agreement.second_looks * second)
    share = agreement.disagreements / agreement.pictures
    measured = (
        f"{agreement.disagreements} of {counted(agreement.pictures, 'picture')} guessed "
        f"otherwise, {agreement.second_looks:.1%} looked at twice, {speedup:.1f} times as fast "
        "as float32"
    )
    if share > MISSES_ALLOWED:
        reason = f"not used, float32 is: {measured}; at most {MISSES_ALLOWED:.1%} may differ"
    elif speedup < SPEEDUP_WANTED:
        reason = f"not used, float32 is: {measured}; {SPEEDUP_WANTED} times is wanted"
    else:
        reason = f"used, with second looks in float32: {measured}"
    offered = reason.startswith("used")
    return {"offered": offered, "reason": reason, **asdict(agreement), "speedup": speedup}


def _seconds_in_turn(quantised: Quantised, litert: LiteRT, pixels: Pixels) -> tuple[float, float]:
    start = time.perf_counter()
    quantised.features(pixels)
    middle = time.perf_counter()
    litert.run(pixels)
    return middle - start, time.perf_counter() - middle


def _evenly(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many items, spread over all, so that every category has its share."""
    if len(items) <= most:
        return list(items)
    return [items[int(i)] for i in np.linspace(0, len(items) - 1, most)]
