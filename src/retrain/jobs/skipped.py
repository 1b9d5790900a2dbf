"""Tells which files a job leaves out: a few by name, the rest by number."""

import re
from collections import Counter
from collections.abc import Sequence

from retrain.data.records import Skipped
from retrain.progress import Reporter, counted

NAMED = 10  # files, and reasons of the others


def tell_skipped(skipped: Sequence[Skipped], report: Reporter) -> None:
    """Warn of skipped files: the first ten a line each, the others counted by reason."""
    for bad in skipped[:NAMED]:
        report.warn(f"Skipped {bad.name}: {bad.reason}")
    others = Counter(_in_general(bad.reason) for bad in skipped[NAMED:])
    if not others:
        return
    report.warn(f"Skipped {counted(others.total(), 'more file')}:")
    for reason, count in others.most_common(NAMED):
        report.warn(f"  {count:>7}  {reason}")
    if rare := others.total() - sum(count for _, count in others.most_common(NAMED)):
        report.warn(f"  {rare:>7}  for other reasons")


def _in_general(reason: str) -> str:
    """Return a reason without what differs from file to file.

    >>> _in_general("image file is truncated (7 bytes not processed)")
    'image file is truncated'
    >>> _in_general("labels.csv line 12: no label")
    'labels.csv line ...: no label'
    """
    reason = re.sub(r"^a link to .*, which is", "a link to what is", reason, flags=re.DOTALL)
    reason = re.sub(r" \(.*\)$", "", reason, flags=re.DOTALL)
    return re.sub(r"(?<!JPEG )\b\d[\d,.x]*", "...", reason)
