"""Writes a run's report.html, from what the run and its workspace hold."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from retrain.bundle import Bundle, open_bundle
from retrain.data.images import BadPicture, Pixels, read_bytes, read_pixels
from retrain.errors import BundleError
from retrain.evaluate.found_again import find_again, split_rows
from retrain.evaluate.interpret import Interpreter
from retrain.evaluate.report import TOP_LOSSES, Facts, render
from retrain.evaluate.verdicts import PREDICTIONS, Verdict, read_predictions
from retrain.files import ENCODE_ERRORS, machine_errors, output_file, read_csv, write_text
from retrain.model.classifier import Classifier, load_classifier
from retrain.plots import overlay
from retrain.progress import Reporter, counted
from retrain.workspace import SPLIT, Workspace, data_of

REPORT, HISTORY_SVG = "report.html", "history.svg"
_BATCH = 8  # pictures explained at a time


def rebuild_report(root: Path, output: Path | None, report: Reporter) -> Path:
    """Write the report of a published model anew; return where it is.

    Args:
        root: the workspace, one of its runs, or a bundle.
        output: file to write; None for `report.html` in the run.
        report: hears what is missing.

    Raises:
        BundleError: there is no model. MachineError: the file cannot be written.
    """
    bundle = open_bundle(Workspace(root.absolute()).published())
    path = output_file(output, bundle.files.folder / REPORT)
    classifier = load_classifier(bundle) if bundle.files.keras.is_file() else None
    write_report(bundle, classifier, path, report)
    return path


def write_report(
    bundle: Bundle, classifier: Classifier | None, path: Path, report: Reporter
) -> None:
    """Write a run's report.

    Args:
        bundle: the run.
        classifier: its Keras model, for heat maps; None: there are none.
        path: the HTML file.
        report: shows progress, hears what is missing.

    Raises:
        MachineError: the file cannot be written.
    """
    run, manifest = bundle.files.folder, bundle.manifest
    missing = []
    data = data_of(run)
    if data is None:
        missing.append("The pictures: the run does not lie in its workspace.")
    found: list[Verdict] = []
    try:
        found = read_predictions(run / PREDICTIONS, data)
        if any(not {v.category, v.guess} <= set(manifest.labels) for v in found):
            found = []
            missing.append(f"{PREDICTIONS} belongs to another model.")
    except BundleError as error:
        missing.append(str(error))
    if data:
        found, gone = _found_again(found, run, data, report)
        if gone:
            missing.append(f"{counted(gone, 'picture')} of this run: gone or replaced since.")
    heat = dict(_heat(found[:TOP_LOSSES], classifier, report)) if classifier and data else {}
    if classifier is None:
        missing.append("Heat maps: the run has no model.keras.")
    for sentence in missing:
        report.warn(f"Missing in the report: {sentence}")
    counts: dict[str, Counter[str]] = {}
    for row in read_csv(run / SPLIT):
        if row.get("path"):
            counts.setdefault(row["category"], Counter())[row["side"]] += 1
    environment = [
        ("backbone", f"{manifest.backbone} at {manifest.size} px ({manifest.backbone_reason})"),
        ("weights", manifest.weights),
        ("kept", "the fine-tuned model" if manifest.kept == "fine_tune" else "the head alone"),
        ("number format", manifest.precision),
        ("temperature", f"{manifest.temperature:.3f}"),
        *manifest.versions.items(),
    ]
    history = run / HISTORY_SVG
    page = render(
        Facts(
            run=manifest.run,
            labels=manifest.labels,
            rules=bundle.rules,
            verdicts=found,
            metrics={side: manifest.metrics.get(side) for side in ("validation", "test")},
            heat=heat,
            counts=counts,
            skipped=[
                (row.get("path", ""), row.get("reason", ""))
                for row in read_csv(run / "skipped.csv")
            ],
            settings=list(_flat(_json(run / "config.json"))),
            environment=environment,
            command=manifest.command,
            history=history.read_text(encoding="utf-8") if history.is_file() else "",
            missing=missing,
        )
    )
    with machine_errors(path.parent):
        write_text(path, page)


def _found_again(
    found: list[Verdict], run: Path, data: Path, report: Reporter
) -> tuple[list[Verdict], int]:
    """Return verdicts with the places of their pictures now, and how many have none."""
    names = {verdict.name for verdict in found}
    again = find_again([row for row in split_rows(run) if row.name in names], data, report)
    nowhere = Path(os.devnull)  # is no picture
    places = {**again.paths, **dict.fromkeys(again.missing, nowhere)}
    return [replace(v, path=places.get(v.name, v.path)) for v in found], len(again.missing)


def _heat(
    found: list[Verdict], classifier: Classifier, report: Reporter
) -> Iterator[tuple[str, tuple[Pixels, Pixels]]]:
    """Yield pictures as the network sees them, and with what spoke for the guess, by name."""
    interpreter = Interpreter(classifier.network)
    labels = classifier.categories
    with report.bar("heat maps", len(found)) as advance:
        for start in range(0, len(found), _BATCH):
            batch = []
            for verdict in found[start : start + _BATCH]:
                try:
                    batch.append((verdict, read_pixels(read_bytes(verdict.path), classifier.rules)))
                except BadPicture:
                    continue  # counted as gone
            if batch:
                pixels = np.stack([one for _, one in batch])
                guesses = [labels.index(verdict.guess) for verdict, _ in batch]
                for (verdict, one), map_ in zip(
                    batch, interpreter.heat("gradcam", pixels, guesses), strict=True
                ):
                    yield verdict.name, (one, overlay(one, map_))
            advance(len(found[start : start + _BATCH]))


def _json(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8", errors=ENCODE_ERRORS)
        values: Mapping[str, Any] = json.loads(text)
    except (OSError, ValueError):
        return {}
    return values


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings of nested sections as names and values."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
