"""The tf_files contract: where things lie, who may write, how a model is published."""

import contextlib
import errno
import fcntl
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from retrain.data.corrections import CORRECTIONS
from retrain.errors import BundleError, DataError, MachineError
from retrain.files import ENCODE_ERRORS, machine_errors
from retrain.run import MANIFEST, STAMP, Run
from retrain.split_rows import PreviousSplit

MODEL, RUNS = "model", "runs"
_LONGEST = 256  # bytes of a run's name and a newline, as file systems allow
_RUN_NAME = re.compile(r"\d{8}T\d{6}Z-.+")  # as new_run names them
_NOT_THERE = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_NO_LINKS = {errno.EPERM, *_NOT_THERE}  # what FAT, exFAT and network drives answer
_NO_LOCKS = {errno.ENOLCK, *_NOT_THERE}


class Workspace:
    """A user's folder: pictures in, runs and the published model out."""

    def __init__(self, root: Path) -> None:
        """Take a workspace, a run, a bundle, or a workspace's `model`; nothing is made."""
        if root.is_file():  # `model`, where the file system has no links
            root = _led_to(root) or root
        self.root = root
        self.data = root / "data"
        self.corrections = root / CORRECTIONS
        self.removed = root / "removed"
        self.bottlenecks = root / "bottlenecks"
        self.runs = root / RUNS
        self.model = root / MODEL
        self.returned = root / "corrections"  # pictures that came back, by category

    @contextlib.contextmanager
    def lock(self, warn: Callable[[str], None] = lambda _: None) -> Iterator[None]:
        """Hold the workspace for one training; the kernel lets go of it even after a crash.

        Args:
            warn: told if the file system has no locks.

        Raises:
            DataError: there is no such folder.
            MachineError: it is not writable, or another training holds it.
        """
        if not self.root.is_dir():
            raise DataError(f"{self.root} must be a folder with your pictures in data/<category>/.")
        with machine_errors(self.root), (self.root / ".lock").open("a+") as file:
            try:
                if not lock_file(file):
                    warn(
                        f"The file system of {self.root} has no locks: nothing keeps a second "
                        "training out, so start only one."
                    )
            except BlockingIOError:
                file.seek(0)
                raise MachineError(
                    f"Only one training may run in {self.root} at a time; "
                    f"{file.read() or 'another process'} is running one. Wait for it, or stop it."
                ) from None
            file.truncate(0)
            since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            file.write(f"process {os.getpid()} on {socket.gethostname()} since {since}")
            file.flush()
            yield

    def new_run(self, backbone: str) -> Run:
        """Make the folder of a new run, `runs/<UTC time>-<backbone>/`.

        Raises:
            MachineError: it cannot be made, or could not be published.
        """
        self._refuse_foreign_model()
        stamp = datetime.now(UTC).strftime(STAMP)
        with machine_errors(self.runs):
            self.runs.mkdir(exist_ok=True)
            for suffix in ("", *(f"-{i}" for i in range(2, 100))):
                run = Run(self.runs / f"{stamp}-{backbone}{suffix}")
                with contextlib.suppress(FileExistsError):
                    run.folder.mkdir()
                    return run
        raise MachineError(f"{self.runs} has a hundred runs of this very second.")

    def finished_runs(self) -> list[Run]:
        """Return all folders in `runs` that hold a manifest, the oldest first by its time."""
        found = [Run(manifest.parent) for manifest in self.runs.glob(f"*/{MANIFEST}")]
        first = datetime.min.replace(tzinfo=UTC)
        return sorted(found, key=lambda run: (run.name_and_time()[1] or first, run.name))

    def own_runs(self) -> list[Run]:
        """Return the finished runs under their own names, hence no copies, the oldest first."""
        return [run for run in self.finished_runs() if run.name_and_time()[0] == run.name]

    def drop_unfinished_runs(self) -> None:
        """Delete what interrupted trainings left; only while holding the lock."""
        for run in self.unfinished_runs():
            shutil.rmtree(run.folder, ignore_errors=True)

    def unfinished_runs(self) -> list[Run]:
        """Return the runs that were interrupted; only while holding the lock."""
        named = (place for place in self.runs.glob("*") if _RUN_NAME.fullmatch(place.name))
        return [Run(place) for place in named if place.is_dir() and not Run(place).is_finished]

    def publish(self, run: Run) -> None:
        """Point `model` at a finished run, atomically: a link, or where there are none a file.

        Raises:
            MachineError: `model` is something else, or cannot be replaced.
        """
        self._refuse_foreign_model()
        fresh = self.root / f".model-{os.getpid()}"
        with machine_errors(self.root):
            _point(fresh, run.name)
            fresh.replace(self.model)

    def has_links(self) -> bool:
        """Tell whether `model` can be a link here, by making one beside it.

        Raises:
            MachineError: no model could be published.
        """
        self._refuse_foreign_model()
        trial = self.root / f".model-{os.getpid()}"
        with machine_errors(self.root):
            try:
                return _point(trial, "trial")
            finally:
                trial.unlink(missing_ok=True)

    def _refuse_foreign_model(self) -> None:
        if self.model.exists() and self.published_run() is None:
            raise MachineError(f"{self.model} must be a link that training makes. Move it away.")

    def published_run(self) -> Path | None:
        """Return the run that `model` leads to, be it there or not; None where none is named."""
        return _led_to(self.model)

    def published(self) -> Run:
        """Return the run whose model is published, or the root itself if it is a bundle.

        Raises:
            BundleError: nothing was published yet.
        """
        if (self.root / MANIFEST).is_file():
            return Run(_led_to(self.root) or self.root)
        run = Run(_led_to(self.model) or self.model)
        if not run.is_finished:
            raise BundleError(f"There is no model in {self.root}. Train one first.")
        return run

    def readable_run(self) -> Run | None:
        """Return the published run; None before the first training, or if it cannot be read."""
        try:
            run = self.published()
            run.manifest  # noqa: B018 - reads it
        except BundleError:
            return None
        return run

    def previous_split(self) -> PreviousSplit:
        """Return the split of the newest finished run; empty before the first."""
        runs = self.own_runs()
        return runs[-1].read_previous() if runs else PreviousSplit({}, {})


def open_run(root: Path) -> Run:
    """Open the model that a workspace has published, or a run, or a bundle copied elsewhere.

    Raises:
        BundleError: there is no model, or this version cannot read it.
    """
    run = Workspace(root.absolute()).published()
    run.manifest  # noqa: B018 - reads it, so that what is wrong shows at once
    return run


def _point(place: Path, run: str) -> bool:
    """Make `place` lead to a run, as a link, or as a file with its name; tell whether a link."""
    place.unlink(missing_ok=True)
    try:
        place.symlink_to(Path(RUNS, run), target_is_directory=True)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        place.write_text(f"{run}\n", encoding="utf-8", errors=ENCODE_ERRORS)
        return False
    return True


def _led_to(model: Path) -> Path | None:
    """Return where a link leads, or a file that holds a run's name; None for anything else.

    No further than one step: `runs` may be a link to another disk.
    """
    try:
        if model.is_symlink():
            return model.parent / model.readlink()
        if model.name != MODEL or not model.is_file() or model.stat().st_size > _LONGEST:
            return None
        name = model.read_text(encoding="utf-8", errors=ENCODE_ERRORS).rstrip("\n")
        run = model.parent / RUNS / name
        if Path(name).name != name:
            return None
        return run if _RUN_NAME.fullmatch(name) or (run / MANIFEST).is_file() else None
    except (OSError, ValueError):  # what it holds is no name
        return None


def lock_file(file: IO[str]) -> bool:
    """Lock an open file for this process alone; tell whether its file system has locks.

    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    return True
