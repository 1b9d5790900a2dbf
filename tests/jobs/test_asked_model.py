"""What a check asks of the model about changed pixels."""

import json
import shutil
from pathlib import Path

import numpy as np

from retrain.data.images import PixelRules, read_pixels
from retrain.data.records import Picture
from retrain.evaluate.cue_candidates import Judged
from retrain.jobs.known_features import Known
from retrain.jobs.rough_heads import Heads
from retrain.jobs.shortcuts import Mind, ModelAnswers
from retrain.run import Run


def test_a_fine_tuned_model_is_asked_at_its_own_size(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained / "model", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "kept": "fine_tune"}))
    run = Run(folder)
    categories = run.manifest.labels
    paths = [p for name in categories for p in sorted((trained / "data" / name).iterdir())[:8]]
    pictures = [Picture(p, p.name, p.parent.name, "", "") for p in paths]
    labels = np.array([categories.index(picture.category) for picture in pictures])
    judged = Judged(pictures, labels, labels, [""] * len(labels), categories)

    def unused() -> None:
        raise AssertionError("heads are not asked")

    known = Known(np.zeros((len(labels), 1), np.float32), PixelRules(224, "squash"), unused)  # type: ignore[arg-type]
    answers = ModelAnswers(Mind(run, Heads.__new__(Heads), known), judged)
    assert answers.rules == run.rules != known.rules
    pixels = np.stack([read_pixels(path.read_bytes(), answers.rules) for path in paths])
    said = answers(pixels, np.arange(len(labels)))
    assert (said.argmax(axis=1) == labels).mean() > 0.9
