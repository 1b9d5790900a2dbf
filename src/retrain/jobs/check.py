"""What may be wrong with the pictures of a workspace; before the first training and after it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain.data.corrections import Corrections, read_corrections
from retrain.data.described import fingerprints
from retrain.data.fingerprints import Fingerprints
from retrain.data.headers import UNKNOWN, headers
from retrain.data.records import Picture, Skipped
from retrain.data.related import find
from retrain.data.relations import Relation, with_previous
from retrain.errors import DataError
from retrain.evaluate.cue_candidates import Judged
from retrain.evaluate.doubtful import label_findings, unusual_findings
from retrain.evaluate.findings import Finding, ranked, write_findings
from retrain.evaluate.quality import SMALL, Measures, quality_findings
from retrain.evaluate.related_findings import related_findings
from retrain.files import machine_errors, read_json
from retrain.jobs.computed_features import default_rules
from retrain.jobs.known_features import Known, known_features
from retrain.jobs.rough_heads import Heads, fit_rough_heads
from retrain.jobs.shortcuts import Mind, find_shortcuts
from retrain.jobs.training_data import Gathered, as_trained, gather
from retrain.progress import Reporter
from retrain.run import Run
from retrain.workspace import Workspace


@dataclass(frozen=True)
class Checked:
    """All that is known of a workspace's pictures.

    pictures: n of them, in the order of their names, as corrections say; none that is left out.
    categories: k names, sorted. labels: int64 [n]. features: float32 [n, d].
    heads: None where there is only one category.
    findings: the worst first.
    run: the published run that was used; None before the first training.
    """

    workspace: Workspace
    run: Run | None
    pictures: Sequence[Picture]
    skipped: Sequence[Skipped]
    corrections: Corrections
    categories: Sequence[str]
    labels: NDArray[np.int64]
    features: NDArray[np.float32]
    heads: Heads | None
    relations: Sequence[Relation]
    findings: Sequence[Finding]


def check(root: Path, report: Reporter) -> Checked:
    """Look for what may be wrong with the pictures, and write check.json and check.csv.

    Args:
        root: the workspace.
        report: hears what is odd, shows progress.

    Raises:
        DataError: there are no pictures.
        MachineError: a training is running, or the workspace cannot be written.
        WeightsError: there is no model, and the default backbone's weights are out of reach.
    """
    workspace = Workspace(root.absolute())
    with workspace.lock(report.warn):
        found = check_held(workspace, report)
        with machine_errors(workspace.root):
            write_findings(workspace.root, found.findings)
    return found


def check_held(workspace: Workspace, report: Reporter) -> Checked:
    """Do what `check` does while the caller holds the workspace, and write no findings."""
    run = workspace.readable_run()
    rules = run.rules if run else default_rules()
    gathered = gather(workspace, rules, as_trained(run), report, remembered=True)
    pictures = list(gathered.pictures)
    if not pictures:
        raise DataError(
            f"A check needs pictures that can be read. Received: none in {workspace.data}."
        )
    categories = sorted({picture.category for picture in pictures})
    index = {category: i for i, category in enumerate(categories)}
    labels = np.array([index[picture.category] for picture in pictures], np.int64)
    known = known_features(pictures, workspace, run, report)
    records = fingerprints(pictures, workspace.bottlenecks, report)
    relations = _relations(gathered, records, known, run, report)
    heads = None
    if len(categories) > 1:
        folds = gathered.before.folds
        heads = fit_rough_heads(pictures, labels, known.values, relations, folds)
    corrections = read_corrections(workspace.corrections)
    found = Checked(
        workspace,
        run,
        pictures,
        gathered.skipped,
        corrections,
        categories,
        labels,
        known.values,
        heads,
        relations,
        findings=(),
    )
    return replace(found, findings=ranked(_findings(found, known, records, report)))


def _findings(
    found: Checked, known: Known, records: Fingerprints, report: Reporter
) -> list[Finding]:
    pictures, labels, corrections = found.pictures, found.labels, found.corrections
    seen = headers(pictures, report)
    grey = records["grey"].reshape(len(pictures), -1)
    measures = Measures(
        side=np.array([min(h.width, h.height) if h != UNKNOWN else SMALL for h in seen]),
        brightness=grey.mean(axis=1),
        spread=grey.std(axis=1),
    )
    guesses = found.heads.probabilities if found.heads else None
    findings = [
        *related_findings(pictures, found.relations, corrections, guesses, found.categories),
        *unusual_findings(pictures, labels, found.features, corrections),
        *quality_findings(pictures, measures),
    ]
    if found.heads and guesses is not None:
        findings += label_findings(pictures, labels, guesses, found.categories, corrections)
        judged = Judged(pictures, labels, found.heads.fold, found.heads.groups, found.categories)
        mind = Mind(found.run, found.heads, known)
        findings += find_shortcuts(judged, mind, records, seen, report)
    return findings


def _relations(
    gathered: Gathered, records: Fingerprints, known: Known, run: Run | None, report: Reporter
) -> Sequence[Relation]:
    """Return what belongs together: as the last training found it, if it saw all pictures."""
    before = gathered.before.relations
    if run and read_json(run.config).get("split", {}).get("relate"):
        seen = {row.sha256 for row in run.read_split()}
        if all(picture.sha256 in seen for picture in gathered.pictures):
            return before
    return with_previous(find(gathered.pictures, records, known.values, report), before)
