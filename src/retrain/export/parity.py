"""Compares every export with the Keras model, before anything is published."""

import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from retrain.data.images import PixelRules, Pixels, decode, read_bytes, read_pixels
from retrain.data.stream import pixel_batches
from retrain.model.classifier import Classifier
from retrain.model.predict import BATCH

Array = NDArray[np.float32]
RunPixels = Callable[[Pixels], Array]
RunFiles = Callable[[Sequence[bytes]], Array]

PICTURES = 64  # least number of pictures to compare, if there are so many
PIXEL_TOLERANCE, PIXEL_MARGIN = 1e-3, 2e-3
# TensorFlow's decoders and resampling differ from Pillow's by one level here and there.
FILE_TOLERANCE, FILE_MARGIN = 1e-3, 0.1
FILE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_STORED: Mapping[int, Image.Transpose] = {  # how an upright picture is stored, by orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
LONGEST_SIDE = 1024  # pixels of the re-encoded files


def check_parity(
    classifier: Classifier,
    paths: Sequence[Path],
    pixel_runs: Mapping[str, RunPixels],
    run_files: RunFiles,
) -> dict[str, Any]:
    """Run the exports beside the Keras model.

    Args:
        classifier: the Keras model that was exported.
        paths: the pictures to compare on; each is also re-encoded into one of FILE_FORMATS, in
            turn, and where the format can say so, stored under one of the EXIF orientations.
        pixel_runs: by the name of each export, a function from uint8 pixels [n, h, w, 3] to
            probabilities [n, k]; the largest difference counts.
        run_files: a function from the contents of files to probabilities [n, k]; the median
            difference counts.

    Returns:
        JSON values: for each export `pictures`, `max_difference`, `median_difference`,
        `disagreements` and `passed`; and `passed` for all together.
    """
    expected: list[Array] = []
    answers: dict[str, list[Array]] = {name: [] for name in pixel_runs}
    for pixels in pixel_batches(paths, classifier.rules, BATCH):
        expected.append(classifier.probabilities(pixels))
        for name, run in pixel_runs.items():
            answers[name].append(run(pixels))
    findings = {
        name: compare(expected, answer, np.max, PIXEL_TOLERANCE, PIXEL_MARGIN)
        for name, answer in answers.items()
    }
    findings["image_bytes"] = _check_files(classifier, paths, run_files)
    return {**findings, "passed": all(finding["passed"] for finding in findings.values())}


def compare(
    expected: Sequence[Array],
    answers: Sequence[Array],
    judge: Callable[[Array], Any],
    tolerance: float,
    margin: float,
) -> dict[str, Any]:
    """Compare probabilities, given as batches of [n, k].

    Args:
        expected: the answers of the Keras model.
        answers: the answers of an export.
        judge: np.max or np.median, applied to the largest difference of each picture.
        tolerance: the largest value that `judge` may give.
        margin: the lead beyond which the best category must be the same.

    Returns:
        JSON values, as for one export of `check_parity`; a difference is None where it is not a
        number.
    """
    truth, found = np.concatenate(expected), np.concatenate(answers)
    differences = np.abs(truth - found).max(axis=1)
    ordered = np.sort(truth, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > margin
    disagreements = int((clear & (truth.argmax(axis=1) != found.argmax(axis=1))).sum())
    return {
        "pictures": len(truth),
        "max_difference": _finite(np.max(differences)),
        "median_difference": _finite(np.median(differences)),
        "disagreements": disagreements,
        "passed": bool(judge(differences) <= tolerance) and disagreements == 0,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _check_files(
    classifier: Classifier, paths: Sequence[Path], run_files: RunFiles
) -> dict[str, Any]:
    rules = classifier.rules
    expected, answers = [], []
    for start in range(0, len(paths), BATCH):
        contents = [
            _encoded(path, start + i, rules) for i, path in enumerate(paths[start : start + BATCH])
        ]
        pixels = np.stack([read_pixels(content, rules) for content in contents])
        expected.append(classifier.probabilities(pixels))
        answers.append(run_files(contents))
    return compare(expected, answers, np.median, FILE_TOLERANCE, FILE_MARGIN)


def _encoded(path: Path, number: int, rules: PixelRules) -> bytes:
    """Return the file of a picture in one of the formats, stored under one of the orientations."""
    image = decode(read_bytes(path), 2 * rules.size)
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BILINEAR)
    options = {}
    file_format = FILE_FORMATS[number % len(FILE_FORMATS)]
    if file_format in ("JPEG", "PNG", "WEBP") and (orientation := number % 8 + 1) in _STORED:
        image = image.transpose(_STORED[orientation])
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        options["exif"] = exif.tobytes()
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()
