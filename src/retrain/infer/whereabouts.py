"""Where copies belong: in DEST or set aside, and under which name."""

import os
from itertools import count
from pathlib import Path

from retrain.config import SortConfig
from retrain.infer.names import (
    folder_name,
    is_named_by_score,
    kept_name,
    name_and_number,
    numbered,
    safe_name,
)
from retrain.infer.results import Results
from retrain.infer.rows import Row


class Whereabouts:
    """The rules of one sorted folder."""

    def __init__(
        self,
        folder: Path,
        unsure: Path,
        how: SortConfig,
        results: Results,
        least_familiar: float | None = None,
    ) -> None:
        """Take the rules.

        Args:
            folder: DEST, absolute.
            unsure: where pictures with low scores go, absolute; `folder` where they stay in it.
            how: says from which score, and whether names are kept.
            results: know which names are taken.
            least_familiar: below which a picture is a stranger; None where the model cannot tell.
        """
        self._folder, self._unsure, self._how, self._results = folder, unsure, how, results
        self._least_familiar = least_familiar or 0.0

    def is_unsure(self, row: Row) -> bool:
        """Tell whether a picture is set aside."""
        if not row.score or self._how.unsure is None:
            return False
        strange = bool(row.familiar) and float(row.familiar) < self._least_familiar
        return strange or float(row.score) < (self._how.min_score or 0.0)

    def is_well_named(self, row: Row, category: str) -> bool:
        """Tell whether a row's copy has the place and the name of its score and a category."""
        copy, place = self._folder / row.copy, self._place(row)
        if self._how.keep_names:
            return copy.parent == place / folder_name(category)
        return copy.parent == place and is_named_by_score(copy.name, category, row.score)

    def holds(self, copy: str) -> bool:
        """Tell whether a copy lies in one of the two places, or in a category's folder there.

        Args:
            copy: as rows have it.
        """
        path = Path(copy)
        if path.is_absolute():
            if self._unsure == self._folder or not path.is_relative_to(self._unsure):
                return False
            path = path.relative_to(self._unsure)
        return len(path.parts) <= 2 and ".." not in path.parts

    def free_name(self, row: Row, extension: str, before: Row, replaces: bool) -> str:
        """Return the name of a new copy, as rows have it.

        Args:
            row: the guess.
            extension: of the copy, where it is named by its score.
            before: what was known of the source.
            replaces: whether the copy that it had then may have its name taken.
        """
        place = self._place(row)
        # A copy in DEST is known by its name, so that DEST can move.
        start = "" if place == self._folder else f"{place}{os.sep}"
        if self._how.keep_names:
            stem, suffix = kept_name(Path(row.source).name)
            stem = f"{start}{folder_name(row.category)}{os.sep}{stem}"
        else:
            stem, suffix = f"{start}{safe_name(row.category)}-{row.score}", extension
        wanted, first = name_and_number(before.copy, row.source)
        if wanted != f"{stem}{suffix}":
            first = self._results.next_number(f"{stem}{suffix}")
        return next(
            name
            for name in (numbered(stem, suffix, number) for number in count(first))
            if (replaces and name == before.copy) or self._is_free(name, row.source)
        )

    def _place(self, row: Row) -> Path:
        return self._unsure if self.is_unsure(row) else self._folder

    def _is_free(self, name: str, source: str) -> bool:
        """Tell whether neither a file of the user's nor another row has a name."""
        taken = os.path.lexists(self._folder / name)
        return not taken and not self._results.is_copy(name, but_of=source)
