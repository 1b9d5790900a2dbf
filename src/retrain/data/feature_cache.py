"""A file of features by content, whichever network they come from.

It is made of records of equal length (content sha256, checksum, values) that are appended batch by
batch, so that a killed run keeps what it had. A record that does not match its checksum, or holds
values that are not finite, is noticed.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.files import atomic_writer, machine_errors

SUFFIX = ".features"
_WIDEST = 16384  # features of a picture
Features = NDArray[np.float32]


@dataclass(frozen=True)
class FeatureCache:
    """The cache of one network and one way to bring pictures to it.

    path: the file.
    width: the number of features of a picture.
    """

    path: Path
    width: int

    @property
    def record(self) -> np.dtype[Any]:
        """The layout of one record."""
        return np.dtype([("sha256", "V32"), ("crc", "<u4"), ("values", "<f4", self.width)])

    def read(self) -> tuple[NDArray[np.void], int]:
        """Return the sound records and the number of damaged ones."""
        size = self.path.stat().st_size if self.path.exists() else 0
        whole, torn = divmod(size, self.record.itemsize)
        if whole == 0:
            return np.empty(0, self.record), int(torn > 0)
        entries = np.memmap(self.path, self.record, mode="r", shape=whole)
        sound = np.array([zlib.crc32(e["values"].tobytes()) == e["crc"] for e in entries])
        sound &= np.isfinite(entries["values"]).all(axis=1)
        if sound.all():
            return entries, int(torn > 0)
        return entries[sound], int((~sound).sum()) + int(torn > 0)

    def rewrite(self, entries: NDArray[np.void]) -> None:
        """Replace the file by one that holds these records alone."""
        with atomic_writer(self.path) as part:
            part.write_bytes(entries.tobytes())

    @contextmanager
    def appending(self) -> Iterator[Callable[[Sequence[tuple[bytes, Features]]], None]]:
        """Open the file; the value entered appends features [d] with their sha256."""
        with machine_errors(self.path), self.path.open("ab") as file:

            def append(batch: Sequence[tuple[bytes, Features]]) -> None:
                entries = np.empty(len(batch), self.record)
                for i, (digest, values) in enumerate(batch):
                    entries[i] = (digest, zlib.crc32(values.tobytes()), values)
                file.write(entries.tobytes())
                file.flush()

            yield append


def existing_cache(path: Path) -> FeatureCache | None:
    """Open a cache whose width nobody knows: it is the one at which the first checksum holds.

    Returns:
        None where there is no file, or its first record is damaged.
    """
    try:
        with path.open("rb") as file:
            content = file.read(36 + 4 * _WIDEST)
    except OSError:
        return None
    wanted, checksum = int.from_bytes(content[32:36], "little"), 0
    for width in range(1, (len(content) - 36) // 4 + 1):
        end = 36 + 4 * width
        checksum = zlib.crc32(content[end - 4 : end], checksum)
        if checksum == wanted:
            return FeatureCache(path, width)
    return None
