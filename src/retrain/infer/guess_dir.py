"""Sorts a folder of pictures into copies named `<category>-<score>.<ext>`, or as they were.

Beside the copies lie `results.csv` and `results.json`. Whatever stops the work, the next run finds
what is done and goes on.
"""

import contextlib
import os
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrain.config import SortConfig
from retrain.errors import UsageError
from retrain.infer.copying import ABOUT_ONE_COPY, SourceError, destination_errors, make_copy, moved
from retrain.infer.guess import Guess
from retrain.infer.names import own_suffix
from retrain.infer.place import Place
from retrain.infer.result_files import CSV_NAME, JSON_NAME, refuse_foreign
from retrain.infer.results import Results
from retrain.infer.rows import Row
from retrain.infer.sources import absolute, is_folder
from retrain.infer.stamp import Stamp, is_gone, is_unedited, stamp_of
from retrain.infer.whereabouts import Whereabouts

COPIES_IN_FLIGHT = 32
NAMED = 10  # edited copies; more are counted


@dataclass(frozen=True)
class _Plan:
    """What is to become of a guess.

    row: when it is done. before: what was known of the source. replaces: whether the copy before
    goes. moves: whether it becomes the new one, because its content is the source's still.
    """

    row: Row
    before: Row
    replaces: bool = False
    moves: bool = False


class SortedFolder:
    """DEST: which sources are done, where the next copy goes, what is written at the end.

    left_behind: copies of earlier runs that now belong elsewhere, by the folder where they stay.
    edited: copies that may have been edited, which stay; edited_names: the first of them.
    gone: sources with a row that are there no more; removed: their copies that were removed, or
    would be but for a dry run. unlocked: places without locks, and why.
    """

    def __init__(
        self,
        folder: Path,
        run: str,
        sorting: SortConfig | None = None,
        least_familiar: float | None = None,
    ) -> None:
        """Open or make the folder.

        Args:
            folder: to hold the copies, absolute.
            run: name of the model's run; copies of other runs are replaced.
            sorting: how; by default copies named by category and score.
            least_familiar: below which a picture is a stranger; None where the model cannot tell.

        Raises:
            UsageError: something else is in its place, it holds results of another program, or
                both places are one.
            MachineError: it cannot be made, or another process sorts into it.
        """
        self.folder, self.run = folder, run
        self._how = sorting or SortConfig()
        unsure = absolute(self._how.unsure) if self._how.unsure else folder
        if self._how.unsure and unsure.resolve() == folder.resolve():
            raise UsageError(
                f"Pictures are set aside in another folder than DEST. Received: {unsure} for both.",
                setting="unsure",
            )
        refuse_foreign(folder)
        names = (
            {folder: "DEST"}
            if self._how.dry_run
            else {unsure: "the folder for unsure pictures", folder: "DEST"}
        )
        self._places = [Place(place, name) for place, name in names.items()]
        self.unlocked = {place.folder: place.unlocked for place in self._places if place.unlocked}
        self.left_behind: Counter[Path] = Counter()
        self.edited, self.edited_names, self.gone, self.removed = 0, list[str](), 0, 0
        self._emptied: set[Path] = set()
        self._results = Results(folder)
        self._where = Whereabouts(folder, unsure, self._how, self._results, least_familiar)
        self._repair()

    def wanted(self, source: Path) -> Path | Guess | None:
        """Return a source that is to be guessed, or its guess if only the copy is missing.

        None if this model's copy of this very file is there, where it now belongs.
        """
        row, now = self._results.find(str(source)), stamp_of(source)
        if row is None or row.run != self.run or row.error or now is None:
            return source
        row = self._dated(row, now)
        if not now.same(row.stamp):
            return source
        if self._how.dry_run or self._is_in_place(row):
            return None
        scores = self._results.scores(row.source)
        suffix = own_suffix(source.name) or Path(row.copy).suffix
        if not scores or not (suffix or self._how.keep_names):
            return source
        known = np.array([*scores.values()], np.float32)
        familiar = float(row.familiar) if row.familiar else None
        return Guess(source, tuple(scores), known, familiar, extension=suffix, stamp=now)

    def is_unsure(self, row: Row) -> bool:
        """Tell whether a picture is set aside."""
        return self._where.is_unsure(row)

    def add_all(self, guesses: Iterable[Guess]) -> Iterator[Row]:
        """Copy each guess as it comes, and yield its row; copying overlaps with guessing.

        Raises:
            MachineError: the disk is full, or DEST is not writable.
        """
        waiting: deque[tuple[_Plan, Future[Row]]] = deque()
        with ThreadPoolExecutor(1) as copier:
            try:
                for guess in guesses:
                    plan = self._planned(guess)
                    # Before the copy takes its name: a copy without a row would be orphaned.
                    replaced = plan.before if plan.replaces else None
                    self._results.put(plan.row, dict(guess.scores), replaced)
                    waiting.append((plan, copier.submit(self._copied, plan)))
                    while waiting and (waiting[0][1].done() or len(waiting) > COPIES_IN_FLIGHT):
                        yield self._noted(*waiting.popleft())
                while waiting:
                    yield self._noted(*waiting.popleft())
            finally:
                copier.shutdown(cancel_futures=True)

    def fail(self, source: Path, reason: str) -> Row:
        """Note that nothing could be made of a source, and return its row."""
        row = (self._results.find(str(source)) or Row(str(source))).failed(reason, self.run)
        self._results.put(row, {})
        return row

    def look_for_gone(self, source: Path, forget: bool) -> None:
        """Count the sources in a folder that have a row and are there no more.

        Args:
            source: the folder, absolute.
            forget: drop their rows, and their copies unless these were edited.
        """
        for row in self._results.below(source):
            path = Path(row.source)
            if is_gone(path):
                self.gone += 1
                if not forget:
                    continue
                removes = self._is_replaceable(row)
                self.removed += removes
                if self._how.dry_run:
                    continue
                if removes:
                    self._remove(self.folder / row.copy)
                self._results.forget(row.source)
            elif row.error and not row.copy and is_folder(path):  # an earlier run could not list it
                self._results.forget(row.source)

    def finish(self) -> None:
        """Write results.csv and results.json, sorted by source; let go of the locks."""
        self._settle()
        for folder in self._emptied:
            with contextlib.suppress(OSError):  # something is in it
                folder.rmdir()
        self._results.finish()
        for place in self._places:
            place.let_go()

    def _dated(self, row: Row, now: Stamp) -> Row:
        """Fill in what version 0.1 did not note: its copies had the time of their source."""
        copy = stamp_of(self.folder / row.copy) if row.copy else None
        if row.stamp is None and now.same(copy):
            row = row.of_source(now).of_copy(row.copy, copy)
            self._results.note(row)
        return row

    def _is_in_place(self, row: Row) -> bool:
        """Tell whether a copy is there with the name that it should have, edited or not."""
        copy = self.folder / row.copy
        there = stamp_of(copy) if row.copy else None
        if there is None or not any(
            self._where.is_well_named(row, category) for category in self._categories(row)
        ):
            return False
        if not is_unedited(copy, row.copy_stamp, Path(row.source)):
            self._leave(copy)
        elif not there.same(row.copy_stamp):  # only its time is another
            self._results.note(row.of_copy(row.copy, there))
        return True

    def _categories(self, row: Row) -> Iterator[str]:
        """Yield a row's category, and then the best one if a person or spreadsheet changed it."""
        yield row.category
        yield from [*self._results.scores(row.source)][:1]

    def _planned(self, guess: Guess) -> _Plan:
        before = self._results.find(str(guess.path)) or Row(str(guess.path))
        if guess.error is not None:
            return _Plan(before.failed(guess.error, self.run), before)
        category, probability = guess.scores[0]
        score = f"{probability:.5f}"
        familiar = "" if guess.familiar is None else f"{guess.familiar:.5f}"
        row = Row(before.source, "", category, score, "", self.run, familiar=familiar)
        row = row.of_source(guess.stamp)
        if self._how.dry_run:
            if before.copy:  # which is of the source as it was then
                row = row.of_source(before.stamp).of_copy(before.copy, before.copy_stamp)
            return _Plan(row, before)
        replaces = self._is_replaceable(before)
        copy = self._where.free_name(row, guess.extension, before, replaces)
        same = guess.stamp is not None and guess.stamp.same(before.stamp)
        moves = replaces and same and self._is_linked(before) == self._how.link
        return _Plan(row.of_copy(copy), before, replaces, moves)

    def _is_replaceable(self, row: Row) -> bool:
        """Tell whether a row's copy is there and ours to remove; note it where it stays."""
        copy = self.folder / row.copy
        if not row.copy or not os.path.lexists(copy):
            return False
        if not self._where.holds(row.copy):  # where an earlier run set it aside, say
            self.left_behind[copy.parent] += 1
            return False
        if not is_unedited(copy, row.copy_stamp, Path(row.source)):
            self._leave(copy)
            return False
        return True

    def _is_linked(self, row: Row) -> bool:
        try:
            return (self.folder / row.copy).samefile(row.source)
        except OSError:
            return False

    def _leave(self, copy: Path) -> None:
        self.edited += 1
        if len(self.edited_names) < NAMED:
            self.edited_names.append(str(copy))

    def _copied(self, plan: _Plan) -> Row:
        """Copy in the background; what is wrong with one picture becomes a failed row."""
        row, target = plan.row, self.folder / plan.row.copy
        if row.error or self._how.dry_run:
            return row
        old = self.folder / plan.before.copy
        with destination_errors(self.folder):
            try:
                if self._how.keep_names:
                    _make_folder(target.parent)
                if not (plan.moves and moved(old, target)):
                    make_copy(Path(row.source), target, self._how.link)
                if plan.replaces and old != target:
                    self._remove(old)
                return row.of_copy(row.copy, Stamp.of(target.stat()))
            except SourceError as error:
                return plan.before.failed(str(error), self.run)
            except OSError as error:
                if error.errno not in ABOUT_ONE_COPY:
                    raise
                return plan.before.failed(f"no copy of it can be made: {error.strerror}", self.run)

    def _remove(self, copy: Path) -> None:
        copy.unlink(missing_ok=True)
        if copy.parent not in (place.folder for place in self._places):
            self._emptied.add(copy.parent)

    def _noted(self, plan: _Plan, copying: Future[Row]) -> Row:
        row = copying.result()
        if row.error and row is not plan.row:
            self._results.put(row, {})
        elif row is not plan.row:
            self._results.note(row)
        return row

    def _repair(self) -> None:
        """Tidy up what a killed run left: half-written files, copies that were being replaced."""

        def is_ours(path: Path) -> bool:
            in_dest = path.is_relative_to(self.folder)
            name = str(path.relative_to(self.folder)) if in_dest else str(path)
            own = (CSV_NAME, JSON_NAME) if in_dest else ()
            return name in own or self._results.is_copy(name) or self._results.is_copy(str(path))

        for place in self._places:
            place.remove_parts(is_ours)
        self._settle()

    def _settle(self) -> None:
        """Decide which copy counts where one was to replace another when the work was stopped."""
        for row, before in self._results.replacing():
            new, old = self.folder / row.copy, self.folder / before.copy
            if new == old or not os.path.lexists(new):
                self._results.note(before)  # not yet, or nobody knows
                continue
            if self._is_replaceable(before):
                with destination_errors(self.folder):
                    self._remove(old)
            self._results.note(row)


def _make_folder(folder: Path) -> None:
    """Make a category's folder.

    Raises:
        UsageError: a file is in its place.
    """
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{folder} must be a folder. Move the file away.") from error
