"""The float32 exports: written, then compared with Keras through the engines of guesses."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrain.data.stream import cores
from retrain.export.litert import export_litert
from retrain.export.outputs import classifier_outputs, freeze
from retrain.export.parity import check_parity
from retrain.export.saved_model import export_saved_model
from retrain.infer.litert import LiteRT
from retrain.infer.savedmodel import SavedModel
from retrain.model.classifier import Classifier
from retrain.progress import Reporter, counted, duration
from retrain.run import Run

SECONDS = 12.0  # of converting and reloading a small model, without comparing pictures
PASSES = 6  # passes of each picture through the network, in all comparisons together


def expected_seconds(pictures: int, seconds_per_picture: float) -> float:
    """Return about how long the exports take with a small model.

    Args:
        pictures: to compare on.
        seconds_per_picture: the time of one forward pass.
    """
    return SECONDS + PASSES * seconds_per_picture * pictures


def write_float32(
    classifier: Classifier,
    run: Run,
    paths: Sequence[Path],
    report: Reporter,
    *,
    seconds_per_picture: float,
) -> dict[str, Any]:
    """Write the Keras model, the SavedModel and the LiteRT file, and compare them.

    Args:
        classifier: the trained model.
        run: the run that the models are written to.
        paths: the pictures to compare on.
        report: hears the estimate.
        seconds_per_picture: the time of one forward pass, for the estimate.

    Returns:
        The findings of `check_parity`, as JSON values.
    """
    seconds = expected_seconds(len(paths), seconds_per_picture)
    report.say(
        f"Exporting the model, and comparing the exports with it on "
        f"{counted(len(paths), 'picture')}, about {duration(seconds)}."
    )
    network, rules, categories = classifier.network, classifier.rules, classifier.categories
    network.save(run.keras)
    outputs = classifier_outputs(network, classifier.temperature)
    export_saved_model(freeze(outputs, rules), categories, rules, run.saved_model)
    export_litert(network, outputs, rules, run.litert)
    saved = SavedModel(run.saved_model, categories)
    litert = LiteRT(run.litert, cores())
    runs = {
        "pixels": saved.probabilities,
        "litert": lambda pixels: litert.run(pixels).probabilities,
    }
    return check_parity(classifier, paths, runs, saved.run_files)
