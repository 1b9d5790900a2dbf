"""Takes frames out of films: every few seconds, or the sharpest of each scene."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from retrain.data.origins import KEPT
from retrain.data.sources import place_for_new, visible_files
from retrain.errors import DataError, MachineError, UsageError
from retrain.files import output_folder
from retrain.gather.films import SUFFIXES, BrokenFilm, Reader, choose_reader, frames, seconds
from retrain.gather.journal import Journal, open_journal
from retrain.gather.place import add, category_folder
from retrain.gather.scenes import RATE, Chosen, Selection
from retrain.infer.names import folder_name, safe_name
from retrain.progress import Reporter, counted

JOB, DONE = "frames", "done"
QUALITY = 92  # of JPEG
_ENDS = 1 << 20  # bytes of a film's beginning and end that tell it from others


@dataclass(frozen=True)
class HowToTakeFrames:
    """Which frames are taken.

    every: seconds from one to the next; None for one of each scene.
    max_size: pixels of the longer side. reader: what reads films.
    """

    every: float | None = 2.0
    max_size: int = 1280
    reader: Reader = "auto"

    def __str__(self) -> str:
        """Say it, as it stands in the journal."""
        which = "the sharpest of each scene" if self.every is None else f"every {self.every:g} s"
        return f"{which}, at most {self.max_size} pixels"


@dataclass(frozen=True)
class Film:
    """What came of a film.

    kept: pictures that are new. scenes: how many there are. black, alike: wanted frames that were
    left out for that. trouble: what is wrong with it, else "".
    """

    path: str
    category: str
    kept: int
    scenes: int
    black: int
    alike: int
    trouble: str


@dataclass(frozen=True)
class Taken:
    """What came of all films. before: films that an earlier start had done."""

    films: Sequence[Film]
    before: int


def take_frames(
    root: Path,
    sources: Sequence[Path],
    category: str | None,
    how: HowToTakeFrames,
    report: Reporter,
) -> Taken:
    """Write frames of films into a workspace's data folder.

    Args:
        root: the workspace; made if it is missing.
        sources: films, or folders of films.
        category: of all of them; None where folders, or the names of films in one, tell.
        how: which frames.
        report: hears what happens.

    Raises:
        DataError: there is no film. UsageError: nothing tells the category.
        MachineError: nothing here reads films, or the workspace cannot be written.
    """
    choose_reader(how.reader)
    films = [film for source in sources for film in _films(source.absolute(), category)]
    if not films:
        raise DataError(
            f"There is no film in {', '.join(map(str, sources))}. "
            f"Films end in {', '.join(SUFFIXES[:6])} and the like."
        )
    root = output_folder(root)
    done: list[Film] = []
    with open_journal(root, report.warn) as journal:
        taking = _Taking(root / "data", journal, how, report)
        for path, name in films:
            if film := taking.film(path, name):
                done.append(film)
    return Taken(done, len(films) - len(done))


def _films(source: Path, category: str | None) -> Iterator[tuple[Path, str]]:
    """Yield each film of a source, and its category."""
    if not source.is_dir():
        if not source.is_file():
            raise DataError(f"A film must be a file. Received: {source}, which is not there.")
        if category is None:
            raise UsageError(
                "Frames need a category: of the command, or of folders in a folder of films, or of "
                f"the films' names there. Received: {source}.",
                setting="category",
            )
        yield source, category_folder(category)
        return
    for path in visible_files(source):
        if path.suffix.lower() in SUFFIXES:
            inside = path.relative_to(source)
            own = inside.parts[0] if len(inside.parts) > 1 else path.stem
            yield path, category_folder(category) if category else folder_name(own)


class _Taking:
    """Takes frames out of one film after the other."""

    def __init__(
        self, data: Path, journal: Journal, how: HowToTakeFrames, report: Reporter
    ) -> None:
        self._data, self._home = data, place_for_new(data)
        self._journal, self._how, self._report = journal, how, report
        self._done = {
            (row["sha256"], row["category"], row["reason"].split(";")[0])
            for row in journal.rows
            if row["job"] == JOB and row["status"] == DONE
        }

    def film(self, path: Path, category: str) -> Film | None:
        """Take the frames of a film; None if an earlier start has come to its end."""
        mark = _mark(path)
        if (mark, category, str(self._how)) in self._done:
            return None
        length = seconds(path, self._how.reader)
        selection, counts, trouble, reached = Selection(self._how.every), Counter[str](), "", 0
        with self._report.bar(path.name, int(length)) as advance:
            try:
                for frame in frames(path, RATE, self._how.max_size, self._how.reader):
                    for chosen in selection.feed(frame):
                        counts[self._keep(path, mark, category, chosen)] += 1
                    advance(int(frame.time) - reached)
                    reached = int(frame.time)
            except BrokenFilm as broken:
                trouble = str(broken)
            for chosen in selection.finish():
                counts[self._keep(path, mark, category, chosen)] += 1
        if trouble:
            some = f"is damaged; frames up to {reached} s were read" if selection.scenes else ""
            self._report.warn(f"{path.name} {some or 'gives no frame'}: {trouble}.")
        told = counted(selection.scenes, "scene")
        self._journal.add(
            job=JOB,
            source=str(path),
            category=category,
            status=DONE,
            reason="; ".join(filter(None, (str(self._how), told, trouble))),
            sha256=mark,
        )
        return Film(
            str(path),
            category,
            counts[KEPT],
            selection.scenes,
            selection.black,
            selection.alike,
            trouble,
        )

    def _keep(self, film: Path, mark: str, category: str, chosen: Chosen) -> str:
        """Write a frame, and its row; return its status."""
        file = io.BytesIO()
        Image.fromarray(chosen.frame.pixels).save(file, "JPEG", quality=QUALITY)
        content = file.getvalue()
        sha256 = hashlib.sha256(content).hexdigest()
        if self._journal.content(sha256):
            return "there"
        # Tenths of a second, so that a frame has one name whichever frames are wanted.
        name = f"{safe_name(film.stem)}_nohash_{round(10 * chosen.frame.time):06d}.jpg"
        path = add(self._home / category / name, content)
        self._journal.add(
            job=JOB,
            source=f"{film} at {chosen.frame.time:.1f} s",
            category=category,
            status=KEPT,
            path=path.relative_to(self._data).as_posix(),
            sha256=sha256,
            group=f"{film.name} {mark[:8]} scene {chosen.scene}",
        )
        return KEPT


def _mark(film: Path) -> str:
    """Return what tells a film from others, hex: a sha256 of its size, beginning and end."""
    try:
        size = film.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with film.open("rb") as file:
            digest.update(file.read(_ENDS))
            file.seek(max(0, size - _ENDS))
            digest.update(file.read(_ENDS))
    except OSError as error:
        raise MachineError(f"{film} cannot be read: {error.strerror}.") from error
    return digest.hexdigest()
