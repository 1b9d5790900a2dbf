"""Writes variations of pictures beside them; they only teach, and `undo` takes them away again."""

import fnmatch
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from retrain.data.images import BadPicture, decode, read_bytes
from retrain.data.origins import KEPT, VARY
from retrain.data.records import Example
from retrain.data.sources import open_data, place_for_new
from retrain.data.split import GROUP_MARK
from retrain.data.stream import ordered
from retrain.errors import DataError
from retrain.files import file_digest
from retrain.gather.borders import Border, border, common, cropped
from retrain.gather.journal import Journal, open_journal
from retrain.gather.place import add
from retrain.gather.variations import KINDS, Pixels, need_scikit_image, vary
from retrain.infer.names import kept_name
from retrain.progress import Reporter, counted

QUALITY = 92  # of JPEG
AHEAD = 8  # pictures in flight, each in several variations
MARK = "-vary-"  # in the name of a variation, before its kind
CROP = "cropped"  # the kind of a picture whose border was cut


@dataclass(frozen=True)
class HowToVary:
    """Which variations are made of which pictures.

    like: a pattern of file names, such as "fanart*"; None for all of the category.
    kinds: of variations.
    crop_border: pixels to cut at each edge, or "auto" to find uniform borders; None to cut none.
    """

    like: str | None = None
    kinds: tuple[str, ...] = tuple(KINDS)
    crop_border: int | str | None = None


@dataclass(frozen=True)
class Variations:
    """What was made, or taken away.

    originals: pictures that are varied. made: new variations by kind. there: those of before.
    failed: pictures that could not be read, with the reasons. removed: files taken away.
    kept: variations that were edited since, and stay.
    """

    originals: int = 0
    made: Mapping[str, int] = field(default_factory=dict)
    there: int = 0
    failed: Sequence[tuple[str, str]] = ()
    removed: int = 0
    kept: int = 0


def vary_pictures(root: Path, category: str, how: HowToVary, report: Reporter) -> Variations:
    """Write variations of a category's pictures into its folder.

    Pictures that the user put on the validation or test side are not varied, and what a training
    holds back by itself it leaves out with its variations.

    Args:
        root: the workspace.
        category: whose pictures.
        how: which, and in which ways.
        report: hears what happens.

    Raises:
        DataError: there is no such picture, none is large enough for what is to be cut, or a
            labels.csv would leave variations out.
        MachineError: scikit-image is missing, or the disk is full.
    """
    if how.kinds:
        need_scikit_image()
    root = root.absolute()
    place_for_new(root / "data")
    dataset = open_data(root / "data")
    originals = [
        e
        for e in dataset.examples
        if e.category == category
        and e.side in (None, "train")
        and (how.like is None or fnmatch.fnmatch(Path(e.name).name, how.like))
    ]
    if not originals:
        known = ", ".join(sorted({repr(e.category) for e in dataset.examples}))
        which = f" with names like {how.like!r}" if how.like else ""
        raise DataError(f"No picture of {category!r}{which} can be varied. Categories are {known}.")
    with open_journal(root, report.warn) as journal:
        return _Varying(root / "data", journal, how).run(originals, report)


@dataclass(frozen=True)
class _Read:
    """An original that was read."""

    example: Example
    sha256: str
    pixels: Pixels


class _Varying:
    """Varies one picture after the other."""

    def __init__(self, data: Path, journal: Journal, how: HowToVary) -> None:
        self._data, self._journal, self._how = data, journal, how
        self._varied = {row["sha256"] for row in journal.rows if row["job"] == VARY}
        self._done = {
            row["source"]
            for row in journal.rows
            if row["job"] == VARY and (data / row["path"]).is_file()
        }

    def run(self, originals: Sequence[Example], report: Reporter) -> Variations:
        """Write all variations that are missing."""
        borders = self._borders(originals, report) if self._how.crop_border == "auto" else {}
        made: Counter[str] = Counter()
        failed: list[tuple[str, str]] = []
        count = there = small = 0
        with report.bar("varying", len(originals)) as advance:
            for one in ordered(_read, originals, ahead=AHEAD):
                advance(1)
                if isinstance(one, tuple):
                    failed.append(one)
                elif one.sha256 not in self._varied:
                    count += 1
                    small += self._is_small(one)
                    for kind, make in self._wanted(one, borders.get(one.example.name)):
                        if f"{one.sha256} {kind}" in self._done:
                            there += 1
                        else:
                            made[kind.split()[0]] += self._keep(one, kind, make())
        if small:
            self._tell_small(small, count, report)
        return Variations(count, dict(made), there, failed)

    def _is_small(self, one: _Read) -> bool:
        """Tell whether nothing would be left of a picture without the pixels that are to go."""
        cut = self._how.crop_border
        return isinstance(cut, int) and cropped(one.pixels, (cut,) * 4) is None

    def _tell_small(self, small: int, count: int, report: Reporter) -> None:
        pixels = f"{counted(int(self._how.crop_border or 0), 'pixel')} on each edge"
        if small < count:
            are = counted(small, "picture is", "pictures are")
            report.warn(f"{are} too small to lose {pixels}: not cropped.")
            return
        told = f"No picture is large enough to lose {pixels}."
        if not self._how.kinds:
            raise DataError(told, setting="crop_border")
        report.warn(told)

    def _borders(self, originals: Sequence[Example], report: Reporter) -> dict[str, Border]:
        """Return the border of each picture: that of all of its source and size."""
        found: dict[tuple[str, tuple[int, ...]], list[tuple[str, Border | None]]]
        found = defaultdict(list)
        with report.bar("finding borders", len(originals)) as advance:
            for one in ordered(_read, originals, ahead=AHEAD):
                advance(1)
                if isinstance(one, _Read) and one.sha256 not in self._varied:
                    place = self._source(one), one.pixels.shape
                    found[place].append((one.example.name, border(one.pixels)))
        return {
            name: shared
            for own in found.values()
            if any(cut for _, cut in own)
            for shared in [common([cut for _, cut in own if cut])]
            for name, _ in own
        }

    def _source(self, one: _Read) -> str:
        """Return where a picture comes from: its film, or itself."""
        row = self._journal.content(one.sha256)
        if row and row["group"]:
            return row["group"].rsplit(" scene ", 1)[0]
        name = Path(one.example.name).name
        return name.split(GROUP_MARK)[0] if GROUP_MARK in name else one.sha256

    def _wanted(
        self, one: _Read, found: Border | None
    ) -> Iterator[tuple[str, Callable[[], Pixels]]]:
        """Yield each kind of variation, and what makes it."""
        cut, pixels = self._how.crop_border, one.pixels
        edge = found if cut == "auto" else (int(cut),) * 4 if cut else None
        if edge and (inside := cropped(pixels, edge)) is not None:
            yield f"{CROP} {'-'.join(map(str, edge))}", lambda: inside
        seed = int(one.sha256[:8], 16)
        for kind in self._how.kinds:
            yield kind, partial(vary, pixels, kind, seed)

    def _keep(self, one: _Read, kind: str, pixels: Pixels) -> bool:
        """Write a variation and its row; tell whether it is another picture than the original."""
        if np.array_equal(pixels, one.pixels):
            return False
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
        content = file.getvalue()
        sha256 = hashlib.sha256(content).hexdigest()
        known = self._journal.content(sha256)
        if known and known["source"] != f"{one.sha256} {kind}":
            return False
        stem, _ = kept_name(one.example.path.name)
        target = one.example.path.parent / f"{stem}{MARK}{kind.split()[0]}.jpg"
        # The row comes first: a file without one would count as a picture of its own.
        self._journal.add(
            job=VARY,
            source=f"{one.sha256} {kind}",
            category=one.example.category,
            status=KEPT,
            path=target.relative_to(self._data).as_posix(),
            sha256=sha256,
            group=one.sha256,
        )
        add(target, content)
        return True


def _read(example: Example) -> _Read | tuple[str, str]:
    """Return an original with its pixels, or its name and why it cannot be read."""
    try:
        content = read_bytes(example.path)
        pixels = np.asarray(decode(content))
    except BadPicture as error:
        return example.name, str(error)
    return _Read(example, hashlib.sha256(content).hexdigest(), pixels)


def undo(root: Path, category: str | None, report: Reporter) -> Variations:
    """Take variations away again: the files that hold what was written, wherever they lie now.

    Args:
        root: the workspace.
        category: whose; None for all.
        report: shows the progress.

    Raises:
        DataError: there are none.
    """
    root = root.absolute()
    with open_journal(root, report.warn) as journal:
        own = [
            i
            for i, row in enumerate(journal.rows)
            if row["job"] == VARY and category in (None, row["category"])
        ]
        if not own:
            of = f" of {category!r}" if category else ""
            raise DataError(f"There are no variations{of} in {root}.")
        contents = {journal.rows[i]["sha256"] for i in own}
        places = {root / "data" / journal.rows[i]["path"] for i in own}
        removed = kept = 0
        moved = {e.path for e in open_data(root / "data").examples if MARK in e.path.name}
        paths = sorted(places | moved)
        with report.bar("removing", len(paths)) as advance:
            for path in paths:
                advance(1)
                if not path.is_file():
                    continue
                if file_digest(path) in contents:
                    path.unlink()
                    removed += 1
                elif path in places:
                    kept += 1
        journal.forget(own)
    return Variations(removed=removed, kept=kept)
