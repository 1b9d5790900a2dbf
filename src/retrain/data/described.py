"""The fingerprints of pictures, remembered by content in one file of equal records."""

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from retrain.data.fingerprints import FINGERPRINT, FINGERPRINT_VERSION, Fingerprints, describe
from retrain.data.images import decode
from retrain.data.records import Picture
from retrain.data.stream import ordered, read_unchanged
from retrain.files import machine_errors
from retrain.progress import Reporter

ENOUGH = 256  # pixels of a side that a JPEG is decoded to: more than a fingerprint shows
AHEAD = 64  # pictures in flight
_RECORD = np.dtype([("sha256", "V32"), ("crc", "<u4"), ("fingerprint", FINGERPRINT)])


def fingerprints(pictures: Sequence[Picture], folder: Path, report: Reporter) -> Fingerprints:
    """Return the fingerprint of each picture, in their order, computing those that are missing.

    Args:
        pictures: that decode.
        folder: of the caches; always safe to delete.
        report: shows the progress.

    Raises:
        DataError: a picture that was readable before no longer is.
        MachineError: the cache cannot be written.
    """
    path = folder / f"fingerprints-v{FINGERPRINT_VERSION}.records"
    found = np.zeros(len(pictures), FINGERPRINT)
    rows: dict[bytes, list[int]] = {}
    for row, picture in enumerate(pictures):
        rows.setdefault(bytes.fromhex(picture.sha256), []).append(row)
    for entry in _sound(path):
        found[rows.pop(entry["sha256"].tobytes(), [])] = entry["fingerprint"]
    missing = [pictures[own[0]] for own in rows.values()]
    if not missing:
        return found
    with machine_errors(folder):
        folder.mkdir(exist_ok=True)
        _mend(path)
        with path.open("ab") as file, report.bar("looks of pictures", len(missing)) as advance:
            for picture, one in zip(missing, _described(missing), strict=True):
                content = bytes.fromhex(picture.sha256)
                found[rows[content]] = one
                record = np.array([(content, zlib.crc32(one.tobytes()), one)], _RECORD)
                file.write(record.tobytes())
                advance(1)
    return found


def _described(pictures: Sequence[Picture]) -> Iterator[np.void]:
    def look(picture: Picture) -> np.void:
        own = bytes.fromhex(picture.sha256)
        return read_unchanged(picture.path, lambda c: describe(decode(c, ENOUGH)), own)

    return ordered(look, pictures, ahead=AHEAD)


def _sound(path: Path) -> Iterator[np.void]:
    """Yield the records that are whole."""
    whole = path.stat().st_size // _RECORD.itemsize if path.exists() else 0
    if whole:
        for entry in np.memmap(path, _RECORD, mode="r", shape=whole):
            if zlib.crc32(entry["fingerprint"].tobytes()) == entry["crc"]:
                yield entry


def _mend(path: Path) -> None:
    """Cut off a record that a killed process left half-written."""
    size = path.stat().st_size if path.exists() else 0
    if torn := size % _RECORD.itemsize:
        with path.open("ab") as file:
            file.truncate(size - torn)
