"""Writes a run's report.html, from what the run and its workspace hold."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from retrain.data.images import BadPicture, PixelRules, Pixels, read_bytes, read_pixels
from retrain.data.stream import batched
from retrain.errors import BundleError
from retrain.evaluate.doubtful import findings_of_verdicts
from retrain.evaluate.findings import JSON, Finding, read_findings
from retrain.evaluate.found_again import FoundAgain, find_again
from retrain.evaluate.interpret import Interpreter
from retrain.evaluate.related_pairs import located, related_pairs
from retrain.evaluate.report import RELATED, TOP_LOSSES, Facts, render
from retrain.evaluate.verdicts import Verdict, read_predictions, worst_first
from retrain.files import machine_errors, output_file, read_json, write_text
from retrain.model.classifier import Classifier, load_classifier
from retrain.plots import draw_learning, overlay, svg
from retrain.progress import Reporter, counted
from retrain.run import Run
from retrain.workspace import open_run

_BATCH = 8  # pictures explained at a time


def rebuild_report(root: Path, output: Path | None, report: Reporter) -> Path:
    """Write the report of a published model anew; return where it is.

    Args:
        root: the workspace, one of its runs, or a bundle.
        output: file to write; None for `report.html` in the run.
        report: hears what is missing.

    Raises:
        BundleError: there is no model. MachineError: the file cannot be written.
        UsageError: a file of the user's is in the way.
    """
    run = open_run(root)
    path = output_file(output, run.report, run.data)
    classifier = load_classifier(run) if run.keras.is_file() else None
    write_report(run, classifier, path, report)
    return path


def write_report(run: Run, classifier: Classifier | None, path: Path, report: Reporter) -> None:
    """Write a run's report.

    Args:
        run: whose report it is.
        classifier: its Keras model, for heat maps; None: there are none.
        path: the HTML file.
        report: shows progress, hears what is missing.

    Raises:
        MachineError: the file cannot be written.
    """
    manifest, data, missing = run.manifest, run.data, []
    if data is None:
        missing.append("The pictures: the run does not lie in its workspace.")
    found: list[Verdict] = []
    for file in (run.out_of_fold, run.predictions):
        if file == run.out_of_fold and not file.exists():
            continue  # an older run's
        try:
            some = read_predictions(file, data)
            if any(not {v.category, v.guess} <= set(manifest.labels) for v in some):
                some = []
                missing.append(f"{file.name} belongs to another model.")
            found += some
        except BundleError as error:
            missing.append(str(error))
    found = worst_first(found)
    rows = run.read_split()
    related = related_pairs(run.read_related(), rows)
    if data:
        shown = {sight.name for pair in related[:RELATED] for sight in pair.both}
        names = {verdict.name for verdict in found} | shown
        again = find_again([row for row in rows if row.name in names], data, report)
        found = _as_they_lie(found, again)
        related = located(related, again.paths)
        if again.missing:
            gone = counted(len(again.missing), "picture")
            missing.append(f"{gone} of this run: gone or replaced since.")
    heat = dict(_heat(found[:TOP_LOSSES], run, classifier, report)) if classifier and data else {}
    if classifier is None:
        missing.append("Heat maps: the run has no model.keras.")
    for sentence in missing:
        report.warn(f"Missing in the report: {sentence}")
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.category, Counter())[row.side] += 1
    environment = [
        ("backbone", f"{manifest.backbone} at {manifest.size} px ({manifest.backbone_reason})"),
        ("weights", manifest.weights),
        ("kept", "the fine-tuned model" if manifest.kept == "fine_tune" else "the head alone"),
        ("number format", manifest.precision),
        ("temperature", f"{manifest.temperature:.3f}"),
        *manifest.versions.items(),
    ]
    history = run.history_svg
    page = render(
        Facts(
            run=manifest.run,
            labels=manifest.labels,
            rules=run.rules,
            verdicts=found,
            metrics=manifest.metrics,
            learning=_learning(run),
            heat=heat,
            related=related,
            counts=counts,
            skipped=[(bad.name, bad.reason) for bad in run.read_skipped()],
            settings=list(_flat(read_json(run.config))),
            environment=environment,
            command=manifest.command,
            history=history.read_text(encoding="utf-8") if history.is_file() else "",
            missing=missing,
            findings=_findings(run, found),
        )
    )
    with machine_errors(path.parent):
        write_text(path, page)


def _findings(run: Run, verdicts: Sequence[Verdict]) -> list[tuple[Finding, list[Path]]]:
    """Return what a check found since the training; without one, which labels it doubts."""
    if run.data is None:
        return []
    root = run.data.parent
    checked = (root / JSON).exists() and (
        (root / JSON).stat().st_mtime_ns >= run.manifest_file.stat().st_mtime_ns
    )
    findings = read_findings(root) if checked else findings_of_verdicts(verdicts)
    places = {verdict.name: verdict.path for verdict in verdicts}
    return [(one, [places.get(name, run.data / name) for name in one.pictures]) for one in findings]


def _learning(run: Run) -> tuple[str, str]:
    """Return the learning curve as an `<svg>` element and in words; both "" without one."""
    curve = read_json(run.metrics).get("learning_curve")
    if not curve:
        return "", ""
    figure = draw_learning(
        curve["pictures"], curve["accuracy"], curve["doubled"], curve["interval_95"]
    )
    points = zip(curve["pictures"], curve["accuracy"], strict=True)
    words = "; ".join(f"{accuracy:.3f} of {pictures:.0f} pictures" for pictures, accuracy in points)
    return svg(figure, "learning"), f"Accuracy by the number of pictures learned from: {words}."


def _as_they_lie(found: list[Verdict], again: FoundAgain) -> list[Verdict]:
    """Return verdicts with the places of their pictures now; where there is none, of nothing."""
    nowhere = Path(os.devnull)  # is no picture
    places = {**again.paths, **dict.fromkeys(again.missing, nowhere)}
    return [replace(v, path=places.get(v.name, v.path)) for v in found]


def _heat(
    found: list[Verdict], run: Run, classifier: Classifier, report: Reporter
) -> Iterator[tuple[str, tuple[Pixels, Pixels]]]:
    """Yield pictures as the network sees them, and with what spoke for the guess, by name.

    A picture that the model learned from is explained by the head of its fold, whose guess it is.
    """
    interpreter = Interpreter(classifier.network)
    labels, heads = classifier.categories, run.read_fold_heads()
    with report.bar("heat maps", len(found)) as advance:
        for side, own in groupby(sorted(found, key=lambda v: v.side), key=lambda v: v.side):
            if classifier.head[0].shape == heads.get(side, classifier.head)[0].shape:
                interpreter.use_head(*heads.get(side, classifier.head))
            for some in batched(own, _BATCH):
                batch = [one for one in map(partial(_seen, classifier.rules), some) if one]
                if batch:
                    pixels = np.stack([one for _, one in batch])
                    guesses = [labels.index(verdict.guess) for verdict, _ in batch]
                    maps = interpreter.heat("gradcam", pixels, guesses)
                    for (verdict, one), map_ in zip(batch, maps, strict=True):
                        yield verdict.name, (one, overlay(one, map_))
                advance(len(some))


def _seen(rules: PixelRules, verdict: Verdict) -> tuple[Verdict, Pixels] | None:
    """Return a picture as the network sees it; None if it cannot be read."""
    try:
        return verdict, read_pixels(read_bytes(verdict.path), rules)
    except BadPicture:
        return None


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings of nested sections as names and values."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
