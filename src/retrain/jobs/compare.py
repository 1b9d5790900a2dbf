"""How two models compare on the same pictures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from retrain.data.records import Side, Skipped
from retrain.errors import UsageError
from retrain.evaluate.found_again import shared
from retrain.evaluate.labelled_pictures import (
    KnownPictures,
    held_back,
    labelled_folder,
    pictures_of,
)
from retrain.evaluate.verdicts import Verdict, evaluate_verdicts
from retrain.infer.model import Model
from retrain.intervals import cross_fitted_share, share_of_groups, with_share
from retrain.jobs.evaluate import ANSWERS, judge_with, one_source, out_of_fold
from retrain.metrics import Evaluation, sign_flip
from retrain.progress import Reporter
from retrain.run import Run
from retrain.workspace import open_run


@dataclass(frozen=True)
class Compared:
    """Two models on the same pictures.

    only_first, only_second: verdicts of that model on pictures that it alone names correctly.
    p_value: of an exact test of the groups' leads, which is McNemar's where no pictures belong
        together.
    """

    runs: tuple[str, str]
    source: str
    scores: tuple[Evaluation, Evaluation]
    only_first: Sequence[Verdict]
    only_second: Sequence[Verdict]
    p_value: float
    skipped: Sequence[Skipped]


def compare(
    first: Path, second: Path, data: Path | None, side: Side | None, report: Reporter
) -> Compared:
    """Judge two models by the same pictures, such as neither has learned from.

    Args:
        first: run, bundle or workspace.
        second: another.
        data: labelled folder; None for pictures that both trainings held back.
        side: as for `evaluate_model`.
        report: as for `evaluate_model`.

    Raises:
        UsageError: the models know different categories, or share no pictures.
        BundleError, DataError: as for `evaluate_model`.
    """
    runs = [open_run(root) for root in (first, second)]
    labels = runs[0].manifest.labels
    if set(labels) != set(runs[1].manifest.labels):
        raise UsageError(
            "Models to compare must know the same categories. Received: "
            f"{', '.join(labels)} and {', '.join(runs[1].manifest.labels)}."
        )
    if data is None and side is None and all(out_of_fold(run) for run in runs):
        return _compare_out_of_fold(*runs)
    if data is None:
        pictures = _held_back_by_both(runs[0], runs[1], side, report)
    else:
        one_source(data, side)
        pictures = labelled_folder(runs, data.absolute(), report)
    judged = [judge_with(pictures, Model(run, precision="float32"), report) for run in runs]
    right = [{v.name: v.right for v in found} for _, found, _ in judged]
    names = sorted(right[0].keys() & right[1].keys())
    answered = judged[0][2]
    groups = dict(zip((e.name for e in answered.examples), answered.groups, strict=True))
    return Compared(
        runs=(runs[0].manifest.run, runs[1].manifest.run),
        source=pictures.source,
        scores=(judged[0][0], judged[1][0]),
        only_first=[v for v in judged[0][1] if v.right and not right[1].get(v.name, True)],
        only_second=[v for v in judged[1][1] if v.right and not right[0].get(v.name, True)],
        p_value=sign_flip(
            np.array([right[0][name] for name in names]),
            np.array([right[1][name] for name in names]),
            [groups[name] for name in names],
        ),
        skipped=answered.skipped,
    )


def _held_back_by_both(
    first: Run, second: Run, side: Side | None, report: Reporter
) -> KnownPictures:
    side, rows = held_back(first, side)
    # The same side: validation pictures had a say in the training that held them back.
    _, others = held_back(second, side)
    common = shared(rows, others)
    if not common:
        raise _nothing_in_common(first, second)
    by_content = {row.sha256: row for row in others if row.sha256}
    by_name = {row.name: row for row in others}
    same = [by_content.get(row.sha256) or by_name[row.name] for row in common]
    groups = _united((row.group, other.group) for row, other in zip(common, same, strict=True))
    common = [replace(row, related=group) for row, group in zip(common, groups, strict=True)]
    return pictures_of(first, side, common, report)


def _compare_out_of_fold(first: Run, second: Run) -> Compared:
    """Compare what both trainings said of pictures that they had not learned from."""
    (mine, groups), (theirs, others) = _by_content(first), _by_content(second)
    both = sorted(mine.keys() & theirs.keys())
    common = [content for content in both if mine[content].category == theirs[content].category]
    if not common:
        raise _nothing_in_common(first, second)
    pairs = [(mine[content], theirs[content]) for content in common]
    together = _united((groups[content], others[content]) for content in common)
    right = np.array([(one.right, other.right) for one, other in pairs])
    return Compared(
        runs=(first.manifest.run, second.manifest.run),
        source=ANSWERS,
        scores=(
            _scores(first, [one for one, _ in pairs], together),
            _scores(second, [other for _, other in pairs], together),
        ),
        only_first=[one for one, other in pairs if one.right and not other.right],
        only_second=[other for one, other in pairs if other.right and not one.right],
        p_value=sign_flip(right[:, 0], right[:, 1], together),
        skipped=(),
    )


def _scores(run: Run, found: Sequence[Verdict], groups: Sequence[str]) -> Evaluation:
    """Score out-of-fold verdicts with the interval that their training gave them."""
    right = np.array([verdict.right for verdict in found])
    share = cross_fitted_share if run.manifest.kept == "head" else share_of_groups
    return with_share(evaluate_verdicts(found, run.manifest.labels), share(right, groups))


def _by_content(run: Run) -> tuple[dict[str, Verdict], dict[str, str]]:
    """Return out-of-fold verdicts, and what each picture belongs to, by the content's sha256."""
    found = {verdict.name: verdict for verdict in out_of_fold(run)}
    rows = [row for row in run.read_split() if row.sha256 and row.name in found]
    return {row.sha256: found[row.name] for row in rows}, {row.sha256: row.group for row in rows}


def _united(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return a group for each picture such that those that either of two sources groups are one.

    Args:
        pairs: what each picture belongs to by the one and by the other.

    >>> _united([("a", "1"), ("a", "2"), ("b", "2"), ("c", "3")])
    ['a', 'a', 'a', 'c']
    """
    both = [((one, 0), (other, 1)) for one, other in pairs]
    sets: DisjointSet = DisjointSet(node for pair in both for node in pair)
    for pair in both:
        sets.merge(*pair)
    names: dict[tuple[str, int], str] = {}
    return [names.setdefault(sets[node], node[0]) for node, _ in both]


def _nothing_in_common(first: Run, second: Run) -> UsageError:
    return UsageError(
        "Two models are compared on pictures that neither had learned from. Received: "
        f"{first.name} and {second.name}, which have none in common. Name a folder of labelled "
        "pictures.",
        setting="data",
    )
