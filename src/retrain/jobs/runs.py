"""The runs of a workspace: what there is, which one is published, and which may go."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from retrain.bundle import Manifest, open_bundle
from retrain.errors import BundleError, ChecksFailed, DataError, UsageError
from retrain.workspace import MANIFEST, Workspace, machine_errors


@dataclass(frozen=True)
class Run:
    """A finished run. size: bytes on disk. problem: why its manifest cannot be read, if so."""

    folder: Path
    date: datetime | None
    manifest: Manifest | None
    size: int
    published: bool
    problem: str | None = None

    @property
    def accuracy(self) -> tuple[str, float] | None:
        """The side it was measured on, test if there is one, and the accuracy."""
        metrics = self.manifest.metrics if self.manifest else {}
        for side in ("test", "validation"):
            if metrics.get(side):
                return side, float(metrics[side]["accuracy"])
        return None


def list_runs(root: Path) -> list[Run]:
    """Return the finished runs, newest first.

    Raises:
        DataError: there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"TF_FILES must be a workspace. Received: {root}, which is no folder.")
    workspace = Workspace(root.absolute())
    published = workspace.model.resolve() if workspace.model.is_symlink() else None
    return [_run(folder, folder.resolve() == published) for folder in _newest_first(workspace)]


def use(root: Path, name: str) -> Path:
    """Publish a finished run; return its folder.

    Raises:
        UsageError: there is no such run. BundleError: its manifest cannot be read.
        ChecksFailed: its exports disagree with the model.
        MachineError: the workspace is in use, or cannot be written.
    """
    workspace = Workspace(root.absolute())
    known = {folder.name: folder for folder in _newest_first(workspace)}
    chosen = known.get(Path(name).name)
    if chosen is None or (name != chosen.name and Path(name).resolve() != chosen.resolve()):
        raise UsageError(
            f"--use must name a run of {workspace.root}: {', '.join(known) or 'there is none'}. "
            f"Received: {name!r}."
        )
    if not open_bundle(chosen).manifest.checks.get("passed"):
        raise ChecksFailed(
            f"--use must name a run whose exports agree with its model. Received: {chosen.name}, "
            "which was never published for that reason."
        )
    with workspace.lock():
        workspace.publish(chosen)
    return chosen


def prunable(root: Path, keep: int) -> list[Run]:
    """Return all runs but the newest `keep` and the published one."""
    return [run for run in list_runs(root)[keep:] if not run.published]


def delete(root: Path, runs: Sequence[Run]) -> None:
    """Delete runs, but never the published one.

    Raises:
        MachineError: the workspace is in use, or cannot be written.
    """
    workspace = Workspace(root.absolute())
    with workspace.lock(), machine_errors(workspace.runs):
        for run in runs:
            if run.folder.resolve() == workspace.model.resolve():
                continue
            if run.folder.is_symlink():
                run.folder.unlink()  # where it leads is not ours
                continue
            # Unfinished from here on, whatever happens.
            (run.folder / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(run.folder, ignore_errors=not run.folder.exists())


def _newest_first(workspace: Workspace) -> list[Path]:
    return workspace.finished_runs()[::-1]


def _run(folder: Path, published: bool) -> Run:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    try:
        date = datetime.strptime(folder.name.split("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        date = None
    try:
        return Run(folder, date, open_bundle(folder).manifest, size, published)
    except BundleError as error:
        return Run(folder, date, None, size, published, str(error))
