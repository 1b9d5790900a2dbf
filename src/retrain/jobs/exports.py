"""The exports of a training: which pictures they are compared on, and what came of it."""

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.data.stream import evenly
from retrain.export.float32 import write_float32
from retrain.export.parity import PICTURES as PARITY_PICTURES
from retrain.export.weighing import Sample, weigh_int8
from retrain.files import write_text
from retrain.jobs.training_data import TrainingData
from retrain.model.classifier import Classifier
from retrain.progress import Reporter
from retrain.run import Run

INT8_PICTURES = 5000  # on which int8 is weighed, at most: enough to see 0.1 %
# Of many thousands for validation; an export that is wrong shows on ten.
MOST_PARITY_PICTURES = 1000


@dataclass(frozen=True)
class Exports:
    """What came of the exports. checks: parity's findings. cascade: int8's, None without it."""

    checks: Mapping[str, Any]
    cascade: Mapping[str, Any] | None


def write_exports(
    classifier: Classifier,
    data: TrainingData,
    features: NDArray[np.float32] | None,
    run: Run,
    report: Reporter,
    *,
    seconds_per_picture: float,
    int8: bool,
) -> Exports:
    """Write the bundle's models and compare them with Keras'.

    Args:
        classifier: the trained model.
        data: pictures to compare on.
        features: of this model for `data.pictures`, float32 [n, d]; None if not known.
        run: where the bundle's models go.
        report: hears what happens.
        seconds_per_picture: of one forward pass, for the estimates.
        int8: whether to make and weigh the int8 model.
    """
    write_text(run.labels, "".join(f"{name}\n" for name in classifier.categories))
    checks = write_float32(
        classifier, run, _parity_paths(data), report, seconds_per_picture=seconds_per_picture
    )
    gc.collect()  # the graphs of a large backbone take gigabytes, and int8 needs its own
    cascade = None
    if int8 and checks["passed"]:
        sample = _int8_sample(data, features)
        cascade = weigh_int8(
            classifier, run, sample, report, seconds_per_picture=seconds_per_picture
        )
    return Exports(checks, cascade)


def _parity_paths(data: TrainingData) -> Sequence[Path]:
    """Return validation pictures, with training pictures besides where there are few."""
    held_out = [p.path for p in data.pictures if data.sides[p.key] == "validation"]
    others = [p.path for p in data.pictures if data.sides[p.key] == "train"]
    enough = max(0, PARITY_PICTURES - len(held_out))
    return [*evenly(held_out, MOST_PARITY_PICTURES), *others[:enough]]


def _int8_sample(data: TrainingData, features: NDArray[np.float32] | None) -> Sample:
    """Return pictures that are not for the test, which is judged once."""
    seen = [i for i, p in enumerate(data.pictures) if data.sides[p.key] != "test"]
    seen = evenly(seen, INT8_PICTURES)
    known = features[seen] if features is not None else None
    return Sample([data.pictures[i].path for i in seen], known)
