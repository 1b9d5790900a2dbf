"""Unpacks archives of strangers: no file lands outside, nothing grows without bounds."""

import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from retrain.data.images import MAX_BYTES
from retrain.data.records import Skipped
from retrain.errors import DataError
from retrain.files import machine_errors

MOST_FILES = 1_000_000
MOST_GROWTH = 20  # times the archive's own size, that its files may have together ...
ALLOWANCE = 1 << 30  # ... and so many bytes more
PIECE = 1 << 20  # bytes at a time
_LONGEST = 1000  # bytes of a path in an archive
_LOCKED = "protected by a password"
_PASSWORD = 0x1  # the flag of a ZIP archive's entry
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    NotImplementedError,  # a compression that Python does not know
    ValueError,
    RuntimeError,  # a password that the flags do not tell of
    zlib.error,
    lzma.LZMAError,
    OSError,
)


@dataclass(frozen=True)
class _Entry:
    """A file in an archive. name: as the archive has it. trouble: why it is left out, else ""."""

    name: str
    size: int
    trouble: str = ""


def is_archive(path: Path) -> bool:
    """Tell whether a file is a ZIP or tar archive, by its content."""
    try:
        return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    except (OSError, EOFError, ValueError):
        return False


def unpack(archive: Path, folder: Path) -> list[Skipped]:
    """Write the files of an archive below a folder.

    Args:
        archive: ZIP or tar, compressed or not.
        folder: empty.

    Returns:
        What was left out: files with a password, links, and what would land outside. Where the
        archive is damaged in the middle, what came before is there, and the break is named.

    Raises:
        DataError: all its files have a password, or they would grow beyond all bounds.
        MachineError: they cannot be written.
    """
    skipped: list[Skipped] = []
    most = MOST_GROWTH * archive.stat().st_size + ALLOWANCE
    written = files = 0
    try:
        for entry, file in _entries(archive):
            files += 1
            if files > MOST_FILES:
                raise _bomb(archive, f"more than {MOST_FILES} files")
            if file is None:
                skipped.append(Skipped(entry.name, entry.trouble))
                continue
            target = _inside(folder, entry.name)
            if target is None:
                skipped.append(Skipped(entry.name, "a path that leads out of the archive"))
            elif entry.size > MAX_BYTES:
                skipped.append(Skipped(entry.name, f"larger than {MAX_BYTES >> 20} MiB"))
            else:
                try:
                    written += _write(file, target, most - written, archive)
                except _DAMAGED as error:
                    _raise_own(error, folder)
                    skipped.append(Skipped(entry.name, f"damaged: {_said(error)}"))
    except _DAMAGED as error:
        _raise_own(error, folder)
        skipped.append(Skipped(archive.name, f"damaged: {_said(error)}"))
    if skipped and not written and all(bad.reason == _LOCKED for bad in skipped):
        raise DataError(f"{archive} must be unpacked with its password first. Received: no file.")
    return skipped


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _raise_own(error: BaseException, folder: Path) -> None:
    """Raise what the operating system says of the folder: it is no fault of the archive."""
    if isinstance(error, OSError) and error.errno is not None:
        with machine_errors(folder):
            raise error


def _entries(archive: Path) -> Iterator[tuple[_Entry, IO[bytes] | None]]:
    """Yield each file with its open content, or without where it is left out."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                if info.is_dir():
                    continue
                if info.flag_bits & _PASSWORD:
                    yield _Entry(info.filename, 0, _LOCKED), None
                elif (info.external_attr >> 16) & 0o170000 == 0o120000:
                    yield _Entry(info.filename, 0, "a link"), None
                else:
                    with zipped.open(info) as file:
                        yield _Entry(info.filename, info.file_size), file
        return
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            if member.isdir():
                continue
            if not member.isreg():
                kind = "a link" if member.issym() or member.islnk() else "no regular file"
                yield _Entry(member.name, 0, kind), None
                continue
            content = tar.extractfile(member)
            assert content is not None  # a regular file has one
            with content:
                yield _Entry(member.name, member.size), content


def _inside(folder: Path, name: str) -> Path | None:
    """Return where a file belongs; None where its path leads elsewhere or cannot be written."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        return None
    lengths = [len(part.encode(errors="replace")) for part in path.parts]
    if ":" in path.parts[0] or max(lengths) > 255 or sum(lengths) > _LONGEST:
        return None
    return folder / path


def _write(file: IO[bytes], target: Path, most: int, archive: Path) -> int:
    """Write one file; return its size, which is measured and not believed."""
    with machine_errors(target.parent):
        size = 0
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                while piece := file.read(PIECE):
                    size += len(piece)
                    if size > most:
                        raise _bomb(archive, f"more than {MOST_GROWTH} times its size")
                    out.write(piece)
        except (FileExistsError, NotADirectoryError):  # two of one path: the first stays
            return 0
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    return size


def _bomb(archive: Path, found: str) -> DataError:
    return DataError(
        f"{archive} must hold no more than pictures take. Received: {found}. Unpack it yourself if "
        "you trust it."
    )


@contextmanager
def unpacked(archive: Path, near: Path) -> Iterator[tuple[Path, list[Skipped]]]:
    """Unpack an archive into a hidden folder that vanishes at the end.

    Args:
        archive: ZIP or tar.
        near: the workspace, so that pictures need only be moved from there.

    Yields:
        The folder, and what was left out.
    """
    folder = near / f".retrain-unpacked-{archive.name}"
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
    with machine_errors(near):
        folder.mkdir()
    try:
        yield folder, unpack(archive, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
