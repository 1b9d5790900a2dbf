"""Parity: agreement passes, and each kind of disagreement fails."""

import math
from pathlib import Path

import numpy as np
import pytest

from pictures import write_jpegs
from retrain.data.images import PixelRules
from retrain.export.litert import export_litert
from retrain.export.outputs import classifier_outputs, freeze
from retrain.export.parity import check_parity, compare
from retrain.export.saved_model import export_saved_model
from retrain.infer.litert import LiteRT
from retrain.infer.savedmodel import SavedModel
from retrain.model.backbones import backbone_named
from retrain.model.build import add_head, build_backbone
from retrain.model.classifier import Classifier
from retrain.model.weights import obtain

pytestmark = pytest.mark.slow  # exports

LABELS = ("a", "b", "c")
RULES = PixelRules(96, "crop")
TEMPERATURE = 1.7


def rows(count: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).dirichlet(np.ones(3), count)
    return values.astype(np.float32)


def judge(answers: np.ndarray, largest: bool = True) -> dict[str, object]:
    return compare([rows(50)], [answers], np.max if largest else np.median, 1e-3, 2e-3)


def test_equal_answers_pass() -> None:
    assert judge(rows(50))["passed"]
    assert judge(rows(50) + np.float32(9e-4))["passed"]


def test_one_answer_too_far_fails_the_largest_but_not_the_median() -> None:
    answers = rows(50)
    answers[7] += np.array([2e-3, 0, 0], np.float32)
    assert not judge(answers)["passed"]
    assert judge(answers, largest=False)["passed"]


def test_another_best_category_fails_even_if_the_median_is_fine() -> None:
    answers = rows(50)
    answers[7] = np.roll(answers[7], 1)
    finding = judge(answers, largest=False)
    assert finding["disagreements"] == 1
    assert not finding["passed"]


def test_a_value_that_is_no_number_fails() -> None:
    answers = rows(50)
    answers[3, 0] = math.nan
    finding = judge(answers)
    assert not finding["passed"]
    assert finding["max_difference"] is None


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, SavedModel, LiteRT]:
    """EfficientNet-Lite0 with real weights and a made-up head, in all formats."""
    folder = tmp_path_factory.mktemp("exported")
    backbone = backbone_named("efficientnet_lite0")
    network = build_backbone(backbone, RULES.size, obtain(backbone, "imagenet", print))
    kernel = np.random.default_rng(0).normal(0, 0.1, (1280, 3)).astype(np.float32)
    model = add_head(network, kernel, np.zeros(3, np.float32))
    outputs = classifier_outputs(model, TEMPERATURE)
    export_saved_model(freeze(outputs, RULES), LABELS, RULES, folder / "saved_model")
    export_litert(model, outputs, RULES, folder / "model.tflite")
    saved = SavedModel(folder / "saved_model", LABELS)
    return (
        Classifier(model, RULES, LABELS, TEMPERATURE),
        saved,
        LiteRT(folder / "model.tflite", threads=2),
    )


def test_exports_of_a_real_network_agree_with_it(
    exported: tuple[Classifier, SavedModel, LiteRT], tmp_path: Path
) -> None:
    classifier, saved, litert = exported
    paths = [p for c in ("disc", "squares", "noise") for p in write_jpegs(tmp_path, c, 7)]
    runs = {"pixels": saved.probabilities, "litert": lambda x: litert.run(x).probabilities}
    findings = check_parity(classifier, paths, runs, saved.run_files)
    assert findings["passed"], findings
    assert findings["image_bytes"]["pictures"] == len(paths)


def test_an_export_with_another_temperature_does_not_pass(
    exported: tuple[Classifier, SavedModel, LiteRT], tmp_path: Path
) -> None:
    classifier, saved, litert = exported
    paths = write_jpegs(tmp_path, "disc", 5)
    runs = {"litert": lambda x: litert.run(x).probabilities}
    findings = check_parity(classifier.at_temperature(1.0), paths, runs, saved.run_files)
    assert not findings["litert"]["passed"]
    assert not findings["passed"]


def test_both_engines_give_the_same_features(
    exported: tuple[Classifier, SavedModel, LiteRT],
) -> None:
    _, saved, litert = exported
    pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3)).astype(np.uint8)
    ours, theirs = litert.run(pixels), saved.run(pixels)
    assert ours.features.shape == (3, 1280)
    np.testing.assert_allclose(ours.features, theirs.features, atol=1e-3)
    np.testing.assert_allclose(ours.probabilities, theirs.probabilities, atol=1e-4)
