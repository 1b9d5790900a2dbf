"""The runs of a workspace: what there is, which one is published, and which may go."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from retrain.bundle import Manifest, open_bundle
from retrain.errors import BundleError, ChecksFailed, DataError, UsageError
from retrain.files import machine_errors
from retrain.progress import Reporter
from retrain.workspace import MANIFEST, Workspace, name_and_time


@dataclass(frozen=True)
class Run:
    """A run. date: when it ended, or began. size: bytes on disk.

    copy_of: the run that its manifest names, if that is another. problem: why there is no
    manifest, if so. interrupted: whether that is because it never came to its end.
    """

    folder: Path
    date: datetime | None
    manifest: Manifest | None
    size: int
    published: bool
    copy_of: str | None = None
    problem: str | None = None
    interrupted: bool = False

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
    return [_run(folder, workspace) for folder in _newest_first(workspace)]


def use(root: Path, name: str, report: Reporter) -> Path:
    """Publish a finished run; return its folder.

    Args:
        root: the workspace.
        name: of the run, or its path.
        report: hears warnings.

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
    with workspace.lock(report.warn):
        workspace.publish(chosen)
    return chosen


def prunable(root: Path, keep: int, report: Reporter) -> list[Run]:
    """Return what may go: what was interrupted, and all other runs but the newest ones.

    The published run is none of them, nor is a folder that no training made, such as a copy.

    Args:
        root: the workspace.
        keep: how many of the newest finished runs stay.
        report: hears warnings.

    Raises:
        DataError: there is no such folder.
        MachineError: a training is at work there, or the workspace cannot be written.
    """
    workspace = Workspace(root.absolute())
    with workspace.lock(report.warn):  # else a training at work would seem interrupted
        interrupted = [_run(folder, workspace) for folder in workspace.unfinished_runs()]
    own = [_run(folder, workspace) for folder in workspace.own_runs()[::-1]]
    return [*(run for run in own[keep:] if not run.published), *interrupted]


def delete(root: Path, runs: Sequence[Run], report: Reporter) -> None:
    """Delete runs, but never the published one, nor one that came to its end meanwhile.

    Args:
        root: the workspace.
        runs: as `prunable` returned them.
        report: hears warnings.

    Raises:
        MachineError: the workspace is in use, or cannot be written.
    """
    workspace = Workspace(root.absolute())
    with workspace.lock(report.warn), machine_errors(workspace.runs):
        for run in runs:
            if _is_published(run.folder, workspace):
                continue
            if run.folder.is_symlink():
                run.folder.unlink()  # where it leads is not ours
                continue
            if run.interrupted and (run.folder / MANIFEST).exists():
                continue
            # Unfinished from here on, whatever happens.
            (run.folder / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(run.folder, ignore_errors=not run.folder.exists())


def _newest_first(workspace: Workspace) -> list[Path]:
    return workspace.finished_runs()[::-1]


def _is_published(run: Path, workspace: Workspace) -> bool:
    published = workspace.published_run()
    return published is not None and run.resolve() == published.resolve()


def _run(folder: Path, workspace: Workspace) -> Run:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    published = _is_published(folder, workspace)
    name, date = name_and_time(folder)
    copy_of = name if name != folder.name else None
    if not (folder / MANIFEST).exists():
        return Run(folder, date, None, size, published, None, "interrupted", interrupted=True)
    try:
        return Run(folder, date, open_bundle(folder).manifest, size, published, copy_of)
    except BundleError as error:
        return Run(folder, date, None, size, published, copy_of, str(error))
