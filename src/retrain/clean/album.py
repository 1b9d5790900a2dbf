"""The pictures of a workspace as a page knows them: by an id that says nothing of their names."""

import hashlib
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retrain.clean.thumbnails import PictureChanged
from retrain.data.check import check
from retrain.data.images import BadPicture, PixelRules, read_bytes
from retrain.data.records import Picture, Skipped
from retrain.data.sources import open_data
from retrain.workspace import Workspace

_CLOCKS = 2.0  # seconds that the clocks of file systems and machines may differ by


@dataclass(frozen=True)
class Shown:
    """A picture of the page.

    id: of 16 hexadecimal digits, the same for the same name whenever the page is opened.
    picture: as the data folder has it, before corrections.
    """

    id: str
    picture: Picture

    @property
    def name(self) -> str:
        """Its path in the data folder."""
        return self.picture.name

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.picture.path

    @property
    def sha256(self) -> str:
        """Of its content, hex."""
        return self.picture.sha256


class Album:
    """All pictures that decode, by id; one that changes on disk is known anew."""

    def __init__(
        self, pictures: Iterable[Picture], skipped: Sequence[Skipped], since: float
    ) -> None:
        """Take the pictures.

        Args:
            pictures: as the data folder has them.
            skipped: files that are no pictures.
            since: when they began to be read, in seconds since 1970.
        """
        self.skipped = skipped
        self._since = since - _CLOCKS
        self._lock = threading.Lock()
        self._by_id = {shown.id: shown for shown in map(_shown, pictures)}
        self._ids = {shown.name: shown.id for shown in self._by_id.values()}
        self._contents: dict[str, list[str]] = defaultdict(list)
        for shown in self._by_id.values():
            self._contents[shown.sha256].append(shown.id)
        self.counts = Counter(shown.picture.category for shown in self._by_id.values())

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        rules: PixelRules,
        since: float,
        advance: Callable[[int], None] = lambda _: None,
    ) -> "Album":
        """Look through a workspace's data folder; what was looked at before is only counted.

        Args:
            workspace: whose pictures they are.
            rules: by which a training has decoded them, or will.
            since: the time now, in seconds since 1970.
            advance: called with 1 after each file.

        Raises:
            DataError, MachineError: there are no pictures, or they cannot be listed.
        """
        dataset = open_data(workspace.data)
        memory = workspace.bottlenecks / f"checked-{rules}.sqlite"
        pictures, skipped = check(dataset, rules, None, advance, memory)
        return cls(pictures, skipped, since)

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self._by_id)

    def all(self) -> list[Shown]:
        """Return all pictures, by name."""
        with self._lock:
            return list(self._by_id.values())

    def find(self, number: str) -> Shown | None:
        """Return a picture by its id."""
        return self._by_id.get(number)

    def named(self, name: str) -> Shown | None:
        """Return a picture by its path in the data folder."""
        return self._by_id.get(self._ids.get(name, ""))

    def of_content(self, sha256: str) -> list[Shown]:
        """Return the pictures of one content."""
        found = map(self._by_id.get, self._contents.get(sha256, ()))
        return [shown for shown in found if shown is not None and shown.sha256 == sha256]

    def unchanged(self, shown: Shown, sha256: str) -> None:
        """Make sure that a file is still what somebody looked at; else it is known anew.

        Args:
            shown: the picture.
            sha256: of the content that was shown.

        Raises:
            PictureChanged: it is gone, or another one; the message says which.
        """
        if shown.sha256 == sha256 and not self._is_newer(shown.path):
            return
        try:
            content = read_bytes(shown.path)
        except BadPicture as error:
            with self._lock:
                if self._by_id.pop(shown.id, None):
                    self.counts[shown.picture.category] -= 1
            raise PictureChanged(f"{shown.name} cannot be read any more: {error}.") from error
        found = hashlib.sha256(content).hexdigest()
        if found != shown.sha256:
            with self._lock:
                self._by_id[shown.id] = replace(shown, picture=replace(shown.picture, sha256=found))
                self._contents[found].append(shown.id)
        if found != sha256:
            raise PictureChanged(f"{shown.name} was changed since it was shown. Look again.")

    def _is_newer(self, path: Path) -> bool:
        """Tell whether a file may have changed after it was read; then its content decides."""
        try:
            found = path.stat()
        except OSError:
            return True
        return max(found.st_mtime, found.st_ctime) >= self._since


def _shown(picture: Picture) -> Shown:
    return Shown(hashlib.sha256(os.fsencode(picture.name)).hexdigest()[:16], picture)
