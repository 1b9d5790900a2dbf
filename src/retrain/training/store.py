"""Arrays that are made once and needed often, on disk, for as long as the process lives."""

import os
import tempfile
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 8 << 30  # bytes


class Store:
    """Keeps arrays by a key.

    The file has no name, so that nothing is left behind, whatever ends the process. Where there is
    no more room, arrays are no longer kept, and whoever needs them makes them again.
    """

    def __init__(self, folder: Path, what: str, warn: Callable[[str], None]) -> None:
        """Open an empty store.

        Args:
            folder: on whose disk it lies.
            what: it keeps, in the plural, for the warning.
            warn: hears that there is no more room.
        """
        self._what, self._warn = what, warn
        self._kept: dict[Hashable, tuple[int, tuple[int, ...], np.dtype[Any]]] = {}
        self._end, self._full = 0, False
        self._lock = threading.Lock()
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (closed with the process)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def keep(self, key: Hashable, array: NDArray[Any]) -> None:
        """Keep an array, if there is room."""
        content = memoryview(np.ascontiguousarray(array).tobytes())
        with self._lock:
            if self._full or key in self._kept:
                return
            begin, self._end = self._end, self._end + len(content)
            place = begin
            try:
                if self._end > MOST:
                    raise OSError(f"{MOST >> 30} GiB are kept already")
                while content:  # a disk that is nearly full takes a part
                    written = os.pwrite(self._file.fileno(), content, place)
                    content, place = content[written:], place + written
            except OSError as error:
                self._full = True
                self._warn(
                    f"No more {self._what} can be kept ({error.strerror or error}). Fine-tuning "
                    "goes on and makes them again each time, which is slower."
                )
                return
            self._kept[key] = begin, array.shape, array.dtype

    def read(self, key: Hashable) -> NDArray[Any]:
        """Return an array that is kept."""
        begin, shape, kind = self._kept[key]
        size = int(np.prod(shape)) * kind.itemsize
        return np.frombuffer(os.pread(self._file.fileno(), size, begin), kind).reshape(shape)


class Stores:
    """What all cycles of a training share, so that each view of a picture is made once.

    sources: pictures as views are made of them.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        """Open an empty one.

        Args:
            folder: on whose disk it lies.
            warn: hears that there is no more room.
        """
        self._folder, self._warn = folder, warn
        self._activations: dict[int, Store] = {}
        self.sources = Store(folder, "decoded pictures", warn)

    def activations(self, groups: int) -> Store:
        """Return what keeps the views below so many layer groups, counted from the end."""
        if groups not in self._activations:
            self._activations[groups] = Store(self._folder, "activations", self._warn)
        return self._activations[groups]

    def keep_only(self, groups: int) -> None:
        """Forget what was kept below other layer groups, which were tried and not chosen."""
        self._activations = {
            own: store for own, store in self._activations.items() if own == groups
        }
