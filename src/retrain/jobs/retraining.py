"""What corrections since the last training would change, and what they did to the numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrain.data.corrections import Corrections, read_corrections
from retrain.errors import BundleError
from retrain.evaluate.verdicts import read_predictions
from retrain.progress import counted
from retrain.run import Run
from retrain.split_rows import SplitRow
from retrain.workspace import Workspace, open_run


@dataclass(frozen=True)
class Pending:
    """Corrections that the published model has not learned from.

    moved: pictures by the category that they had in its training and the one that they have now.
    left_out: pictures that it was trained with.
    """

    run: Run
    moved: Mapping[tuple[str, str], Sequence[SplitRow]]
    left_out: Sequence[SplitRow]

    def __bool__(self) -> bool:
        return bool(self.moved or self.left_out)

    @property
    def pictures(self) -> int:
        """How many pictures they are about."""
        return sum(map(len, self.moved.values())) + len(self.left_out)

    def in_words(self) -> str:
        """Say what they change, a sentence."""
        parts = [
            f"{counted(len(rows), 'picture')} of {old!r} "
            f"{'counts' if len(rows) == 1 else 'count'} as {new!r}"
            for (old, new), rows in sorted(self.moved.items())
        ]
        if self.left_out:
            verb = "is" if len(self.left_out) == 1 else "are"
            parts.append(f"{counted(len(self.left_out), 'picture')} {verb} left out")
        return f"Since {self.run.name}: {', '.join(parts) or 'nothing was corrected'}."


@dataclass(frozen=True)
class Effect:
    """Two models on the pictures that both were judged by, each by who had not learned from them.

    before, after: right answers by the categories as they are now. as_it_was: of the older model by
    those of its training. Shares, 0..1.
    accuracies: of both models, as published; None where nothing judged.
    """

    pictures: int
    as_it_was: float
    before: float
    after: float
    accuracies: tuple[float | None, float | None]

    def in_words(self) -> str:
        """Say what became of the numbers, a sentence or two."""
        if not self.pictures:
            return "No picture judged both models, so that their numbers cannot be compared."
        return (
            f"On {counted(self.pictures, 'picture')} that judged both models: the old one was "
            f"right on {self.as_it_was:.3f} by its own labels and on {self.before:.3f} by the "
            f"corrected ones, the new one is right on {self.after:.3f}."
        )

    def as_dict(self) -> dict[str, float | int | None]:
        """Return JSON values."""
        return {
            "pictures": self.pictures,
            "before_by_its_own_labels": self.as_it_was,
            "before": self.before,
            "after": self.after,
            "accuracy_before": self.accuracies[0],
            "accuracy_after": self.accuracies[1],
        }


def pending_corrections(root: Path) -> Pending | None:
    """Return what the published model has not learned yet; None where there is no model.

    Args:
        root: the workspace.

    Raises:
        DataError, MachineError: corrections.csv cannot be read.
    """
    workspace = Workspace(root.absolute())
    try:
        run = open_run(root)
    except BundleError:
        return None
    return pending_since(run, read_corrections(workspace.corrections))


def pending_since(run: Run, corrections: Corrections) -> Pending:
    """Return which corrections differ from what a run was trained with."""
    moved: dict[tuple[str, str], list[SplitRow]] = {}
    left_out = []
    for row in run.read_split():
        said = corrections.of(row.sha256)
        if said.left_out:
            left_out.append(row)
        elif said.category not in (None, row.category):
            moved.setdefault((row.category, said.category or ""), []).append(row)
    return Pending(run, moved, left_out)


def effect(old: Run, new: Run) -> Effect:
    """Compare two runs of one workspace, of which the newer one knows the true categories."""
    then, now = _answers(old), _answers(new)
    both = sorted(then.keys() & now.keys())
    right: Counter[str] = Counter()
    for content in both:
        (label, guess), (true, new_guess) = then[content], now[content]
        right["as it was"] += label == guess
        right["before"] += true == guess
        right["after"] += true == new_guess
    count = max(1, len(both))
    return Effect(
        pictures=len(both),
        as_it_was=right["as it was"] / count,
        before=right["before"] / count,
        after=right["after"] / count,
        accuracies=(old.accuracy, new.accuracy),
    )


def _answers(run: Run) -> dict[str, tuple[str, str]]:
    """Return category and guess of each judged picture, by content."""
    contents = {row.name: row.sha256 for row in run.read_split() if row.sha256}
    files = [path for path in (run.out_of_fold, run.predictions) if path.exists()]
    found = [verdict for path in files for verdict in read_predictions(path, None)]
    return {contents[v.name]: (v.category, v.guess) for v in found if v.name in contents}
