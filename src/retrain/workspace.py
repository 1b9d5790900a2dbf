"""The tf_files contract: where things lie, who may write, how a model is published."""

import contextlib
import csv
import errno
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from retrain.data.records import SIDES, Picture, Side
from retrain.errors import BundleError, DataError, MachineError, UsageError

MANIFEST = "manifest.json"  # written last: a run that has one is finished
SPLIT = "split.csv"
ENCODE_ERRORS = "surrogateescape"  # file names on Linux are bytes, not always UTF-8


class Workspace:
    """A user's folder: pictures in, runs and the published model out."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.bottlenecks = root / "bottlenecks"
        self.runs = root / "runs"
        self.model = root / "model"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace for one training; the kernel lets go of it even after a crash.

        Raises:
            DataError: there is no such folder.
            MachineError: it is not writable, or another training holds it.
        """
        if not self.root.is_dir():
            raise DataError(f"{self.root} must be a folder with your pictures in data/<category>/.")
        with machine_errors(self.root), (self.root / ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise MachineError(
                    f"One training at a time in {self.root}: {file.read() or 'another'} is at it. "
                    "Wait for it or stop it."
                ) from None
            file.truncate(0)
            since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
            file.flush()
            yield

    def new_run(self, backbone: str) -> Path:
        """Make the folder of a new run, `runs/<UTC time>-<backbone>/`.

        Raises:
            MachineError: it cannot be made, or could not be published.
        """
        self._refuse_foreign_model()
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        with machine_errors(self.runs):
            self.runs.mkdir(exist_ok=True)
            for suffix in ("", *(f"-{i}" for i in range(2, 100))):
                run = self.runs / f"{stamp}-{backbone}{suffix}"
                with contextlib.suppress(FileExistsError):
                    run.mkdir()
                    return run
        raise MachineError(f"{self.runs} has a hundred runs of this very second.")

    def finished_runs(self) -> list[Path]:
        """Return the runs that came to their end, oldest first."""
        return sorted(manifest.parent for manifest in self.runs.glob(f"*/{MANIFEST}"))

    def drop_unfinished_runs(self) -> None:
        """Delete what interrupted trainings left; only while holding the lock."""
        for run in self.unfinished_runs():
            shutil.rmtree(run, ignore_errors=True)

    def unfinished_runs(self) -> list[Path]:
        """Return the runs that were interrupted; only while holding the lock."""
        named = self.runs.glob("????????T??????Z-*")  # as new_run names them: only its own
        return [run for run in named if run.is_dir() and not (run / MANIFEST).exists()]

    def publish(self, run: Path) -> None:
        """Point `model` at a finished run, atomically.

        Raises:
            MachineError: `model` is something else than a link, or cannot be replaced.
        """
        self._refuse_foreign_model()
        fresh = self.root / f".model-{os.getpid()}"
        with machine_errors(self.root):
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(run.relative_to(self.root), target_is_directory=True)
            fresh.replace(self.model)

    def _refuse_foreign_model(self) -> None:
        if self.model.exists() and not self.model.is_symlink():
            raise MachineError(f"{self.model} must be a link that training makes. Move it away.")

    def published(self) -> Path:
        """Return the folder of the published model, or the root itself if it is a bundle.

        Raises:
            BundleError: nothing was published yet.
        """
        if (self.root / MANIFEST).is_file():
            return self._own(self.root)
        if not (self.model / MANIFEST).is_file():
            raise BundleError(f"No model in {self.root}. Train one: bash train.sh {self.root}")
        return self._own(self.model)

    @staticmethod
    def _own(folder: Path) -> Path:
        """Return where `model` leads, but no further: `runs` may be a link to another disk."""
        return folder.parent / folder.readlink() if folder.is_symlink() else folder

    def previous_sides(self) -> dict[str, Side]:
        """Return the side of each key in the newest finished run; empty before the first."""
        runs = self.finished_runs()
        return {
            row["key"]: side
            for row in (read_csv(runs[-1] / SPLIT) if runs else ())
            for side in SIDES
            if row.get("side") == side and row.get("key")
        }


def data_of(run: Path) -> Path | None:
    """Return the data folder of the workspace that a run lies in; None where there is none."""
    data = run.parent.parent / "data"
    return data if run.parent.name == "runs" and data.is_dir() else None


def output_folder(folder: Path) -> Path:
    """Return a folder to write to, absolute; it is made if it is not there.

    Raises:
        UsageError: a file is in its place. MachineError: it cannot be made.
    """
    folder = folder.absolute()
    with machine_errors(folder):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(
                f"--output must lie in a folder. Received: {folder}, "
                f"where {error.filename} is a file."
            ) from error
    return folder


def output_file(output: Path | None, default: Path) -> Path:
    """Return where to write a file, in a folder that is there.

    Args:
        output: as the user said: a file, or a folder to put it in; None for `default`.
        default: in the workspace.

    Raises:
        UsageError: a file is where a folder should be.
        MachineError: the folder cannot be made.
    """
    path = (output or default).absolute()
    if path.is_dir():
        path = path / default.name
    return output_folder(path.parent) / path.name


def write_split(
    run: Path,
    pictures: Sequence[Picture],
    sides: Mapping[str, Side],
    previous: Mapping[str, Side],
) -> None:
    """Write a run's split.csv; keys whose pictures are gone stay, without a path."""
    rows = [(p.name, p.category, p.key, sides[p.key]) for p in pictures]
    present = {p.key for p in pictures}
    rows += [("", "", key, side) for key, side in sorted(previous.items()) if key not in present]
    write_csv(run / SPLIT, ("path", "category", "key", "side"), rows)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header; none where there is no such file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", errors=ENCODE_ERRORS, newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, header: tuple[str, ...], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file, atomically."""
    with (
        atomic_writer(path) as part,
        part.open("w", encoding="utf-8", errors=ENCODE_ERRORS, newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    with atomic_writer(path) as part:
        part.write_text(text, encoding="utf-8", errors=ENCODE_ERRORS)


@contextlib.contextmanager
def atomic_writer(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes its place at the end, or vanishes."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    part.unlink(missing_ok=True)  # a killed process of this number may have left a hard link
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def machine_errors(place: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write into MachineError."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: "The disk is full",
            errno.EDQUOT: "The disk quota is used up",
            errno.EROFS: "The file system is read-only",
            errno.EACCES: "No permission to write",
            errno.EPERM: "No permission to write",
        }
        if error.errno in reasons:
            where = error.filename or place
            raise MachineError(
                f"{reasons[error.errno]}: {where}. Free it and start again."
            ) from error
        raise
