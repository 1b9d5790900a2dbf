"""What the page says and hears: findings, pictures, and what a person chooses of them."""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from retrain.clean.album import Album, Shown
from retrain.clean.thumbnails import PictureChanged
from retrain.data.corrections import (
    Correction,
    Corrections,
    What,
    add_corrections,
    read_corrections,
    take_back_last,
)
from retrain.data.records import category_name
from retrain.errors import UsageError
from retrain.evaluate.findings import KINDS, TITLES, Finding
from retrain.workspace import Workspace

T = TypeVar("T")
Choice = Literal["keep", "move", "out", "back"]
PAGE = 60  # findings or pictures that are shown together
MOST_SHOWN = 24  # pictures of one finding
MOST_CHOSEN = 2000  # pictures in one choice
MOST_LETTERS = 100  # of a category's name
_WHAT: dict[str, What] = {
    "keep": "not a mistake",
    "move": "other category",
    "out": "left out",
    "back": "taken back",
}
_MANY = {"copy", "series", "shortcut", "quality"}  # kinds that one decided picture settles


class NotAsShown(Exception):
    """Pictures are no longer what a person looked at, so that nothing was chosen."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(" ".join(problems.values()))
        self.problems = problems


@dataclass(frozen=True)
class Asked:
    """What a page wants to see.

    kind: of findings; "" for all, "pictures" for all pictures.
    category: "" for all.
    is_open: whether only what is not decided is wanted.
    first: the number of the first one to show, from 0.
    """

    kind: str = ""
    category: str = ""
    is_open: bool = False
    first: int = 0


class Review:
    """One workspace under review; safe to use from several threads."""

    def __init__(self, workspace: Workspace, album: Album, findings: Sequence[Finding]) -> None:
        self.workspace, self.album = workspace, album
        self.findings = findings
        self._lock = threading.Lock()
        self._known: tuple[object, Corrections] = (None, Corrections())

    def corrections(self) -> Corrections:
        """Return what is chosen, by this page or by anybody else.

        Raises:
            DataError, MachineError: corrections.csv cannot be read.
        """
        path = self.workspace.corrections
        try:
            found = path.stat()
            stamp: object = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            stamp = "none"
        with self._lock:
            if stamp != self._known[0]:
                self._known = (stamp, read_corrections(path))
            return self._known[1]

    def state(self) -> dict[str, Any]:
        """Return what the whole page shows, as JSON values."""
        chosen = self.corrections()
        counts, said = self._counts(chosen)
        found = [*self._found(chosen, Asked())]
        return {
            "version": len(chosen.records),
            "categories": [{"name": name, "count": counts[name]} for name in sorted(counts)],
            "kinds": [
                {
                    "kind": kind,
                    "title": TITLES[kind],
                    "count": sum(one.kind == kind for one, _ in found),
                    "open": sum(one.kind == kind and not done for one, done in found),
                }
                for kind in KINDS
            ],
            "pictures": len(self.album),
            "moved": said["move"],
            "left_out": said["out"],
            "kept": said["keep"],
            "last": [_in_words(one) for one in chosen.last()],
        }

    def _counts(self, chosen: Corrections) -> tuple[Counter[str], Counter[str]]:
        """Return the number of pictures by category, and by what was said of them."""
        counts, said = Counter(self.album.counts), Counter[str]()
        for sha256 in chosen.said:
            for shown in self.album.of_content(sha256):
                of = self._picture(shown, chosen)
                said[of["what"]] += 1
                counts[of["folder"]] -= 1
                if of["what"] != "out":
                    counts[of["category"]] += 1
        return counts, said

    def listed(self, asked: Asked) -> dict[str, Any]:
        """Return one page of findings or pictures, as JSON values."""
        chosen = self.corrections()
        if asked.kind == "pictures":
            shown = self._pictures(chosen, asked)
            first, some = _page(shown, asked.first)
            items = [self._item_of_picture(one, chosen) for one in some]
            total = len(shown)
        else:
            found = [*self._found(chosen, asked)]
            first, finds = _page(found, asked.first)
            items = [self._item(one, done, chosen) for one, done in finds]
            total = len(found)
        return {
            "version": len(chosen.records),
            "total": total,
            "first": first,
            "most": PAGE,
            "items": items,
        }

    def described(self, shown: Shown) -> dict[str, Any]:
        """Return what is known of one picture, as JSON values."""
        return self._picture(shown, self.corrections())

    def choose(
        self, seen: dict[str, str], choice: Choice, category: str = ""
    ) -> list[dict[str, Any]]:
        """Write a choice down; it is on disk when this returns.

        Args:
            seen: the sha256 of what was shown, by the pictures' ids.
            choice: keep as it is, move to another category, leave out, or take back what was said.
            category: to move to.

        Returns:
            The pictures as they are now.

        Raises:
            NotAsShown: one of them is another one by now, and nothing was written.
            UsageError: the category is no name. MachineError: it cannot be written.
        """
        chosen = self.corrections()
        if choice == "move":
            category = _checked(category)
        made, problems = [], {}
        for number, sha256 in seen.items():
            shown = self.album.find(number)
            try:
                if shown is None:
                    raise PictureChanged("A picture is no longer in the data folder.")
                self.album.unchanged(shown, sha256)
                made.append(self._correction(shown, choice, category, chosen))
            except PictureChanged as error:
                problems[number] = str(error)
        if problems:
            raise NotAsShown(problems)
        add_corrections(self.workspace.corrections, made)
        return self._answer(made)

    def undo(self) -> list[dict[str, Any]]:
        """Take back the newest choice; return the pictures that it was about."""
        back = take_back_last(self.workspace.corrections)
        return self._answer(back)

    def _answer(self, made: Iterable[Correction]) -> list[dict[str, Any]]:
        """Return the pictures that choices are about: all those of a content."""
        chosen = self.corrections()
        contents = dict.fromkeys(one.sha256 for one in made)
        found = (shown for sha256 in contents for shown in self.album.of_content(sha256))
        return [self._picture(shown, chosen) for shown in found]

    def _found(self, chosen: Corrections, asked: Asked) -> Iterable[tuple[Finding, bool]]:
        """Yield the findings that are asked for, worst first, and whether each is decided."""
        for one in self.findings:
            if asked.kind not in ("", one.kind) or asked.category not in ("", one.category):
                continue
            done = self._is_decided(one, chosen)
            if not (asked.is_open and done):
                yield one, done

    def _is_decided(self, finding: Finding, chosen: Corrections) -> bool:
        names = finding.pictures if finding.kind in _MANY else finding.pictures[:1]
        found = (self.album.named(name) for name in names)
        return any(shown is not None and shown.sha256 in chosen.said for shown in found)

    def _pictures(self, chosen: Corrections, asked: Asked) -> list[Shown]:
        def is_wanted(shown: Shown) -> bool:
            now = chosen.of(shown.sha256).category or shown.picture.category
            in_category = asked.category in ("", now, shown.picture.category)
            return in_category and not (asked.is_open and shown.sha256 in chosen.said)

        return [shown for shown in self.album.all() if is_wanted(shown)]

    def _item(self, finding: Finding, done: bool, chosen: Corrections) -> dict[str, Any]:
        found = [self.album.named(name) for name in finding.pictures]
        there = [shown for shown in found if shown is not None]
        return {
            "key": f"{finding.kind}:{finding.category}:{there[0].id if there else finding.why}",
            "kind": finding.kind,
            "title": TITLES[finding.kind],
            "category": finding.category,
            "suggestion": finding.suggestion,
            "why": finding.why,
            "done": done,
            "gone": len(found) - len(there),
            "more": max(0, len(there) - MOST_SHOWN),
            "pictures": [self._picture(shown, chosen) for shown in there[:MOST_SHOWN]],
        }

    def _item_of_picture(self, shown: Shown, chosen: Corrections) -> dict[str, Any]:
        return {
            "key": f"picture:{shown.id}",
            "kind": "picture",
            "title": "",
            "category": shown.picture.category,
            "suggestion": "",
            "why": "",
            "done": shown.sha256 in chosen.said,
            "gone": 0,
            "more": 0,
            "pictures": [self._picture(shown, chosen)],
        }

    def _picture(self, shown: Shown, chosen: Corrections) -> dict[str, Any]:
        said = chosen.of(shown.sha256)
        folder = shown.picture.category
        what = ""
        if said.left_out:
            what = "out"
        elif said.category not in (None, folder):
            what = "move"
        elif said.right is not None:
            what = "keep"
        return {
            "id": shown.id,
            "sha256": shown.sha256,
            "name": printable(shown.name),
            "folder": folder,
            "category": said.category or folder,
            "what": what,
            "files": len(self.album.of_content(shown.sha256)),
        }

    def _correction(
        self, shown: Shown, choice: Choice, category: str, chosen: Corrections
    ) -> Correction:
        now = chosen.of(shown.sha256).category or shown.picture.category
        named = {"keep": now, "move": category}.get(choice, "")
        twins = {twin.picture.category for twin in self.album.of_content(shown.sha256)}
        # What is said holds for a content: to keep one of two copies is to move the other there.
        what = "other category" if choice == "keep" and twins != {now} else _WHAT[choice]
        return Correction(shown.sha256, shown.name, what, named)


def _checked(category: str) -> str:
    """Return a category's name as all jobs write it.

    Raises:
        UsageError: it could not be a folder's name.
    """
    name = category_name(category.strip())
    odd = not name.isprintable() or "/" in name or name.startswith(".")
    if not name or odd or len(name) > MOST_LETTERS:
        raise UsageError(
            f"A category must be a folder's name of at most {MOST_LETTERS} characters. "
            f"Received: {category!r}.",
            setting="category",
        )
    return name


def _in_words(one: Correction) -> dict[str, str]:
    return {"name": printable(one.name), "what": one.what, "category": one.category}


def printable(name: str) -> str:
    r"""Write a file's name so that it fits into one line of text and into JSON.

    Control characters, those that turn the direction of text, and bytes that are no UTF-8 become
    escapes.

    >>> printable("a\nb\u202egpj.exe")
    'a\\nb\\u202egpj.exe'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name
    )


def _page(entries: Sequence[T], first: int) -> tuple[int, Sequence[T]]:
    """Return the number of the first entry that is there, and the entries from it on."""
    if first >= len(entries):
        first = max(0, (len(entries) - 1) // PAGE * PAGE)
    return first, entries[first : first + PAGE]
