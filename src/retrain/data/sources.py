"""Turns what lies in a data folder into a Dataset: class folders, a ready-made split, a CSV."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from retrain.data.images import is_picture
from retrain.data.labels import LABELS, Labels
from retrain.data.links import broken_link
from retrain.data.origins import SOURCES, origins, read_sources
from retrain.data.patterns import label_pattern, labelled
from retrain.data.records import Dataset, Example, Side, Skipped, category_name
from retrain.data.sides import is_test_open, side_named
from retrain.errors import DataError, MachineError
from retrain.progress import counted

# What systems leave behind, in lower case: nobody's pictures and nobody's categories.
JUNK = frozenset(("thumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin", "__macosx"))


class LoosePictures(DataError):
    """Pictures lie in a folder itself, and none in a category's.

    folder: where. pictures: how many. empty: whether there are category folders.
    """

    def __init__(self, folder: Path, pictures: int, empty: bool) -> None:
        lie = "1 picture lies" if pictures == 1 else f"{pictures} pictures lie"
        each = "It" if pictures == 1 else "Each"
        super().__init__(
            f"{lie} in {folder} itself. {each} belongs in a folder of its category, such as "
            f"{folder}/cat/1.jpg."
        )
        self.folder, self.pictures, self.empty = folder, pictures, empty


def open_data(data: Path, labels_from: str | None = None) -> Dataset:
    """Find the examples below a data folder, in the order of their names; none is read yet.

    Args:
        data: holds `labels.csv`, or `train/` beside `valid/` or `test/`, or category folders; or
            one folder that holds these. Beside it may lie `sources.csv`, which says what gathered
            pictures belong to.
        labels_from: regular expression with the named group `category`, and perhaps `group`, that
            is searched in each file's path; then folders and `labels.csv` say nothing.

    Raises:
        UsageError: the expression cannot be used.
        DataError: there is no such folder, or no picture with a category in it; LoosePictures where
            there are others.
        MachineError: the folder cannot be listed.
    """
    pattern = label_pattern(labels_from) if labels_from else None
    if not data.is_dir():
        found = broken_link(data) or "no such folder"
        raise DataError(
            f"Pictures belong in {data}/<category>/, one folder a category. Received: {found}."
        )
    try:
        os.listdir(data)  # noqa: PTH208 - whatever goes wrong does so here
    except OSError as error:
        raise MachineError(f"{data} cannot be read: {error.strerror}.") from error
    return _DataFolder(data, pattern).dataset()


class _DataFolder:
    """Reads one data folder; gathers what could not be listed, and what the user should know."""

    def __init__(self, data: Path, pattern: re.Pattern[str] | None = None) -> None:
        self._data, self._pattern = data, pattern
        self._skipped: list[Skipped] = []
        self._unlistable: dict[Path, str] = {}  # reasons
        self._notes: list[str] = []

    def dataset(self) -> Dataset:
        if self._pattern:
            examples = self._from_paths(self._pattern)
        else:
            place = self._unwrapped()
            examples = self._examples(place)
            if not examples and not self._unlistable and not _holds_labels(place):
                self._refuse_loose(place)
        skipped = tuple(
            Skipped(self._name(folder), f"a folder that cannot be listed: {reason}")
            for folder, reason in self._unlistable.items()
        )
        skipped += tuple(self._skipped)
        if not examples:
            found = f" Received: {skipped[0].name}: {skipped[0].reason}." if skipped else ""
            raise DataError(
                f"No pictures in {self._data}. Put them in one folder a category, such as "
                f"{self._data}/cat/1.jpg.{found}"
            )
        examples.sort(key=lambda example: example.name)
        known = origins(read_sources(self._data.parent / SOURCES))
        return Dataset(tuple(examples), skipped, is_test_open(examples), tuple(self._notes), known)

    def _examples(self, place: Path) -> list[Example]:
        if _holds_labels(place):
            return self._from_csv(place)
        if split := self._split_folders(place):
            return list(self._from_split(place, split))
        return list(self._from_folders(place))

    def _unwrapped(self) -> Path:
        """Return the folder that holds labels, a split or categories: archives often wrap it."""
        place, seen = self._data, {self._data.resolve()}
        while not _holds_labels(place):
            folders = self._folders(place)
            if len(folders) != 1 or not self._wraps(folders[0]) or folders[0].resolve() in seen:
                break
            self._note_loose(place)
            place = folders[0]
            seen.add(place.resolve())
        if place != self._data:
            name = place.relative_to(self._data).as_posix()
            self._notes.append(f"The folder {name!r} holds everything: it is taken for the data.")
        return place

    def _wraps(self, folder: Path) -> bool:
        """Tell whether an only folder is no category itself, for it holds no picture itself."""
        if _holds_labels(folder):
            return True
        files = (path for path in self._visible(folder) if not _is_folder(path))
        return bool(self._folders(folder)) and not any(is_picture(path) for path in files)

    def _from_csv(self, place: Path) -> list[Example]:
        files = {path.relative_to(place).as_posix() for path in self._files(place)}
        prefix = "" if place == self._data else f"{place.relative_to(self._data).as_posix()}/"
        labels = Labels(place, files, prefix)
        self._skipped += labels.skipped
        self._notes += labels.notes
        return labels.examples

    def _from_paths(self, pattern: re.Pattern[str]) -> list[Example]:
        names = [self._name(path) for path in self._files(self._data) if path.name != LABELS]
        found, self._notes = labelled(names, pattern)
        return [
            Example(self._data / name, name, category, group=group)
            for name, category, group in found
        ]

    def _split_folders(self, place: Path) -> dict[Path, Side]:
        """Return the side of each folder of a ready-made split, or nothing where there is none.

        A folder called `train` may be a category (of railways): it is a split only if its
        sub-folders hold pictures and validation or test stands beside it.
        """
        named = {folder: side_named(folder.name) for folder in self._folders(place)}
        sides = {
            folder: side
            for folder, side in named.items()
            if side and (side != "train" or self._holds_categories(folder))
        }
        if "train" in sides.values() and len(set(sides.values())) > 1:
            return sides
        return {}

    def _holds_categories(self, folder: Path) -> bool:
        return any(next(visible_files(one), None) for one in self._folders(folder))

    def _from_split(self, place: Path, sides: dict[Path, Side]) -> Iterator[Example]:
        for folder, side in sides.items():
            for category in self._folders(folder):
                yield from self._category(category, side)
            self._note_loose(folder)
        self._note_loose(place)
        for folder in self._folders(place):
            if folder not in sides:
                self._notes.append(f"Folder {folder.name!r} beside the ready-made split: left out.")

    def _from_folders(self, place: Path) -> Iterator[Example]:
        folders = self._folders(place)
        sides = [folder.name for folder in folders if side_named(folder.name)]
        if sides and len(sides) == len(folders):
            raise self._sides_without_categories(place, folders)
        if len({side_named(name) for name in sides}) > 1:
            names = ", ".join(map(repr, sides))
            self._notes.append(f"{names}: taken for categories, not for sides of a split.")
        for folder in folders:
            found = list(self._category(folder))
            yield from found
            if not found and folder not in self._unlistable:
                self._notes.append(f"Category {folder.name!r} is empty and left out.")
        self._note_loose(place)

    def _sides_without_categories(self, place: Path, folders: list[Path]) -> DataError:
        """Return the refusal of what would become a classifier of training against test."""
        return DataError(
            "A split needs one folder a category inside train/ and inside valid/ or test/, such as "
            f"{place}/train/cat/1.jpg; without a split, {place}/cat/1.jpg is enough. "
            f"Received: {', '.join(map(self._counts, folders))}."
        )

    def _counts(self, folder: Path) -> str:
        inside, folders = self._visible(folder), len(self._folders(folder))
        if folder in self._unlistable:
            return f"{folder.name} ({self._unlistable[folder]})"
        files = counted(len(inside) - folders, "file")
        return f"{folder.name} ({files}, {counted(folders, 'folder')})"

    def _category(self, folder: Path, side: Side | None = None) -> Iterator[Example]:
        for path in self._files(folder):
            category = category_name(folder.name)
            yield Example(path, self._name(path), category, side, folder=folder)

    def _note_loose(self, folder: Path) -> None:
        loose = 0
        for path in self._visible(folder):
            if reason := broken_link(path):
                self._notes.append(f"{path.name} is {reason}: left out.")
            elif not _is_folder(path):
                loose += 1
        if loose:
            self._notes.append(
                f"{counted(loose, 'file')} in {folder} itself without a category folder: left out."
            )

    def _refuse_loose(self, place: Path) -> None:
        loose = sum(1 for path in self._visible(place) if is_picture(path))
        if loose:
            raise LoosePictures(place, loose, empty=bool(self._folders(place)))

    def _files(self, folder: Path) -> Iterator[Path]:
        return visible_files(folder, unlisted=self._unlisted)

    def _folders(self, folder: Path) -> list[Path]:
        return [path for path in self._visible(folder) if _is_folder(path)]

    def _visible(self, folder: Path) -> list[Path]:
        try:
            return [folder / name for name in sorted(_shown(os.listdir(folder)))]  # noqa: PTH208
        except OSError as error:
            self._unlisted(folder, error.strerror or str(error))
            return []

    def _unlisted(self, folder: Path, reason: str) -> None:
        self._unlistable[folder] = reason

    def _name(self, path: Path) -> str:
        return path.relative_to(self._data).as_posix()


def place_for_new(data: Path) -> Path:
    """Return the folder whose sub-folders are the categories to which pictures may be added.

    That is the data folder, what wraps all in it, or the training side of a ready-made split.

    Raises:
        DataError: a labels.csv says what the pictures are, and would leave new ones out.
    """
    if not data.is_dir():
        return data
    folder = _DataFolder(data)
    place = folder._unwrapped()
    if _holds_labels(place):
        raise DataError(
            f"A training leaves out what {place / LABELS} does not name, and so it would new "
            "pictures. Move that table away if folders tell the categories, too; else `retrain "
            "import` makes folders of it in another workspace."
        )
    sides = folder._split_folders(place)
    return next((place for place, side in sides.items() if side == "train"), place)


def split_places(data: Path) -> dict[Side, Path]:
    """Return the folder of each side of a ready-made split; none where there is no such split."""
    if not data.is_dir():
        return {}
    folder = _DataFolder(data)
    return {side: place for place, side in folder._split_folders(folder._unwrapped()).items()}


def _holds_labels(folder: Path) -> bool:
    return os.path.isfile(folder / LABELS)  # noqa: PTH113 - never raise


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - never raise


def visible_files(
    folder: Path,
    recursive: bool = True,
    unlisted: Callable[[Path, str], None] = lambda path, reason: None,
) -> Iterator[Path]:
    """Yield the files of a folder, and below it, links followed, each real folder entered once.

    What starts with a dot is left out, and so are JUNK and a link back to a folder above.

    Args:
        folder: where to begin.
        recursive: whether sub-folders are entered.
        unlisted: called with each folder that could not be listed, and the reason.
    """

    def tell(error: OSError) -> None:
        unlisted(Path(error.filename), error.strerror or str(error))

    entered = set(folder.resolve().parents)
    for place, folders, names in os.walk(folder, followlinks=True, onerror=tell):
        real = Path(place).resolve()
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(_shown(folders)) if recursive else []
        for name in sorted(_shown(names)):
            yield Path(place) / name


def _shown(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(".") and name.lower() not in JUNK]
