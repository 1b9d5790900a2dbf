"""Brings pictures from folders, archives and tables into the layout of a workspace."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from retrain.data.images import BadPicture, decode, extension, read_bytes
from retrain.data.origins import KEPT, SOURCES, Origin
from retrain.data.records import Side, Skipped, category_name
from retrain.data.sources import (
    LoosePictures,
    open_data,
    place_for_new,
    split_places,
    visible_files,
)
from retrain.data.stream import ordered
from retrain.errors import DataError, UsageError
from retrain.files import machine_errors, output_folder
from retrain.gather.archives import is_archive, unpacked
from retrain.gather.journal import Journal, open_journal
from retrain.gather.place import add, add_file, category_folder
from retrain.gather.shrink import shrunk
from retrain.gather.sources import check_sources
from retrain.gather.tables import has_columns, is_table, locate, read_table
from retrain.infer.copying import SourceError
from retrain.infer.names import folder_name, kept_name, own_suffix
from retrain.progress import Reporter

JOB = "import"
AHEAD = 16  # pictures in flight, each whole in memory
ENOUGH = 64  # pixels of a side; a JPEG is read to its end, but need not be computed in full
_FOLDERS: dict[Side, str] = {"train": "train", "validation": "valid", "test": "test"}


@dataclass(frozen=True)
class HowToImport:
    """How pictures are brought in.

    category: of all pictures; None where something else tells.
    labels_from: a regular expression that tells categories by paths; None for folders or tables.
    path_column, label_column: of a CSV; None for columns with usual names.
    images: the folder that a table's paths begin in; None for the table's own.
    max_size: the longest side in pixels, to which larger pictures are shrunk; None to shrink none.
    link: whether to make hard links instead of copies. move: whether to remove what was copied.
    dry_run: whether to look only.
    """

    category: str | None = None
    labels_from: str | None = None
    path_column: str | None = None
    label_column: str | None = None
    images: Path | None = None
    max_size: int | None = None
    link: bool = False
    move: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    new: pictures by category that were brought in, or would be.
    before: pictures that were brought in before, also if they are gone by now.
    skipped: files that were left out.
    """

    new: dict[str, int]
    before: int
    skipped: Sequence[Skipped]


@dataclass(frozen=True)
class _Planned:
    """A file that may become a picture.

    source: how it is called in the journal.
    ours: whether it was unpacked, and vanishes at the end.
    """

    path: Path
    source: str
    category: str
    side: Side | None = None
    group: str = ""
    ours: bool = False


def import_pictures(
    root: Path, sources: Sequence[Path], how: HowToImport, report: Reporter
) -> Imported:
    """Bring pictures into a workspace; no file is overwritten.

    Args:
        root: the workspace; made if it is missing.
        sources: folders laid out like a data folder, archives of such folders, tables.
        how: what tells categories, and what becomes of the files.
        report: hears what happens.

    Raises:
        DataError: a source has no pictures with categories, or does not go with what is there;
            LoosePictures where it has pictures and nothing tells their categories.
        UsageError: settings do not go together. MachineError: a source cannot be read, or the
            workspace cannot be written.
    """
    check_sources(sources, root / "data")
    _refuse_contradictions(how, sources)
    with ExitStack() as stack:
        near = Path(tempfile.gettempdir()) if how.dry_run else output_folder(root)
        planned: list[_Planned] = []
        skipped: list[Skipped] = []
        for source in sources:
            found, bad = _plan(source.absolute(), how, near, stack, report)
            planned += found
            skipped += bad
        if not planned:
            told = f" Received: {skipped[0].name}: {skipped[0].reason}." if skipped else ""
            raise DataError(f"There is no picture in {', '.join(map(str, sources))}.{told}")
        root = root.absolute()
        if how.dry_run:
            journal = Journal(root / SOURCES)
        else:
            journal = stack.enter_context(open_journal(root, report.warn))
        bringing = _Bringing(root, planned, journal, how)
        with report.bar("importing", len(planned)) as advance:
            for _ in bringing.run():
                advance(1)
    return Imported(dict(sorted(bringing.new.items())), bringing.before, skipped + bringing.skipped)


def _refuse_contradictions(how: HowToImport, sources: Sequence[Path]) -> None:
    if how.link and how.move:
        raise UsageError("Pictures are linked or moved. Received: both.", setting="move")
    if how.link and how.max_size:
        raise UsageError(
            "A link cannot be shrunk. Received: a largest size and links.", setting="link"
        )
    if how.category and how.labels_from:
        raise UsageError(
            "Either paths tell the category, or there is one for all. Received: both.",
            setting="labels_from",
        )
    tables, names = [*filter(is_table, sources)], ", ".join(map(str, sources))
    columns = {"path_column": how.path_column, "label_column": how.label_column}
    named = next((setting for setting, column in columns.items() if column), None)
    if named and not any(has_columns(table) for table in tables):
        raise UsageError(
            "Only a CSV or TSV table has columns: the name of one and other sources do not go "
            f"together. Received: {names}.",
            setting=named,
        )
    if how.images and not tables:
        raise UsageError(
            "Only a table needs a folder where its paths begin: such a folder and other sources do "
            f"not go together. Received: {names}.",
            setting="images",
        )


def _plan(
    source: Path, how: HowToImport, near: Path, stack: ExitStack, report: Reporter
) -> tuple[list[_Planned], list[Skipped]]:
    """Return which files of a source may become pictures, and which not."""
    if is_table(source):
        return _from_table(source, how, report)
    skipped: list[Skipped] = []
    folder, name = source, str(source)
    if is_archive(source):
        report.say(f"Unpacking {source.name}.")
        folder, skipped = stack.enter_context(unpacked(source, near))
    elif source.is_file() and how.category:
        return [_Planned(source, str(source), category_folder(how.category))], []
    elif source.is_file():
        raise DataError(
            "What is imported must be a folder, a ZIP or tar archive, a CSV or TSV table, or a "
            f"JSON of COCO or Label Studio. Received: {source}."
        )
    found, bad = _from_folder(folder, source, how, report)
    ours = folder != source
    mark = "!" if ours else "/"
    named = [replace(one, source=f"{name}{mark}{one.source}", ours=ours) for one in found]
    return named, [*skipped, *bad]


def _from_folder(
    folder: Path, source: Path, how: HowToImport, report: Reporter
) -> tuple[list[_Planned], list[Skipped]]:
    if how.category and folder.is_dir():
        category = category_folder(how.category)
        paths = list(visible_files(folder))
        return [_Planned(p, p.relative_to(folder).as_posix(), category) for p in paths], []
    try:
        dataset = open_data(folder, how.labels_from)
    except LoosePictures as error:
        raise LoosePictures(source, error.pictures, error.empty) from None
    for note in dataset.notes:
        report.warn(note)
    planned, skipped = [], [*dataset.skipped]
    for e in dataset.examples:
        planned.append(_Planned(e.path, e.name, folder_name(e.category), e.side, e.group or ""))
    if dataset.origins:
        planned, varied = _with_origins(planned, dataset.origins)
        skipped += varied
    return planned, skipped


def _with_origins(
    planned: Sequence[_Planned], origins: Mapping[str, Origin]
) -> tuple[list[_Planned], list[Skipped]]:
    """Keep what another workspace knows of its pictures' groups; leave its variations there."""
    kept, skipped = [], []
    for one in planned:
        try:
            origin = origins.get(hashlib.sha256(read_bytes(one.path)).hexdigest(), Origin(""))
        except BadPicture:  # importing it says why
            origin = Origin("")
        if origin.varies:
            skipped.append(Skipped(one.source, "a variation; `retrain vary` makes it anew"))
        else:
            kept.append(replace(one, group=one.group or origin.group))
    return kept, skipped


def _from_table(
    table: Path, how: HowToImport, report: Reporter
) -> tuple[list[_Planned], list[Skipped]]:
    base = (how.images or table.parent).absolute()
    entries, skipped = read_table(table, how.path_column, how.label_column)
    renamed: Counter[str] = Counter()
    planned = []
    for entry in entries:
        found = locate(entry.path, base)
        if isinstance(found, str):
            skipped.append(Skipped(entry.path, found))
            continue
        category = folder_name(category_name(entry.category))
        renamed[f"{entry.category!r} becomes {category!r}"] += category != entry.category
        planned.append(_Planned(found, str(found), category, entry.side, entry.group))
    for change, count in renamed.items():
        if count:
            report.warn(f"A folder's name has to be plain: {change}.")
    return planned, skipped


class _Bringing:
    """Brings planned files in, one after the other, and counts what became of them."""

    def __init__(
        self, root: Path, planned: Sequence[_Planned], journal: Journal, how: HowToImport
    ) -> None:
        self.planned, self.journal, self.how = planned, journal, how
        self.homes = _homes(root, planned)
        self.data = root / "data"
        self.new: Counter[str] = Counter()
        self.before = 0
        self.skipped: list[Skipped] = []
        self._seen: set[str] = set()  # contents, where nothing is written

    def run(self) -> Iterator[None]:
        """Bring each file in; yields after each."""
        for one, content in ordered(self._read, self.planned, ahead=AHEAD):
            if isinstance(content, BadPicture):
                self.skipped.append(Skipped(one.source, str(content)))
            else:
                self._bring(one, *content)
            yield

    def _read(self, one: _Planned) -> tuple[_Planned, tuple[bytes, bool] | BadPicture]:
        """Return the content to be written, and whether it is another than the file's."""
        try:
            content = read_bytes(one.path)
            if self.how.max_size is None:
                decode(content, ENOUGH)
                return one, (content, False)
            small = shrunk(content, self.how.max_size)
            return one, (small, small is not content)
        except BadPicture as error:
            return one, BadPicture(str(error))

    def _bring(self, one: _Planned, content: bytes, changed: bool) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        known = self.journal.content(sha256)
        if known is not None or sha256 in self._seen:
            self.before += 1
            if known is not None and known["category"] != one.category:
                reason = f"is in category {known['category']!r} already: {known['path']}"
                self.skipped.append(Skipped(one.source, reason))
                self.before -= 1
            return
        if self.how.dry_run:
            self.new[one.category] += 1
            self._seen.add(sha256)
            return
        stem, suffix = kept_name(one.path.name)
        if changed or not own_suffix(one.path.name):
            suffix = extension(content)
        target = self.homes[one.side] / one.category / f"{stem}{suffix}"
        try:
            if changed:
                file = add(target, content)
            else:
                file = add_file(target, one.path, sha256, self.how.link or one.ours)
        except SourceError as error:
            self.skipped.append(Skipped(one.source, str(error)))
            return
        self.new[one.category] += 1
        self.journal.add(
            job=JOB,
            source=one.source,
            category=one.category,
            status=KEPT,
            path=file.relative_to(self.data).as_posix(),
            sha256=sha256,
            group=one.group,
        )
        if self.how.move and not file.samefile(one.path):
            with machine_errors(one.path):
                one.path.unlink()


def _homes(root: Path, planned: Sequence[_Planned]) -> dict[Side | None, Path]:
    """Return where the pictures of each side go.

    Raises:
        DataError: the source has a split, and the pictures that are there have none.
    """
    data, given = root / "data", {one.side for one in planned} - {None}
    if not given:
        home = place_for_new(data)
        return {None: home, "train": home, "validation": home, "test": home}
    there = split_places(data)
    if not there and data.is_dir() and next(visible_files(data), None):
        raise DataError(
            f"The source has a split of its own ({', '.join(sorted(map(str, given)))}), and the "
            f"pictures in {data} have none. Import it into a workspace of its own, or one of its "
            "folders alone."
        )
    homes: dict[Side | None, Path] = {
        side: there.get(side, data / name) for side, name in _FOLDERS.items()
    }
    return homes | {None: homes["train"]}
