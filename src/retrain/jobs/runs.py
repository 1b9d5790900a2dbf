"""The runs of a workspace: what there is, which one is published, and which may go."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from retrain.bundle import Manifest
from retrain.errors import BundleError, ChecksFailed, DataError, UsageError
from retrain.files import machine_errors
from retrain.progress import Reporter
from retrain.run import Run
from retrain.workspace import Workspace


@dataclass(frozen=True)
class ListedRun:
    """A run of a list. date: when it ended, or began. size: bytes on disk.

    copy_of: the run that its manifest names, if that is another. problem: why there is no
    manifest, if so. interrupted: whether that is because it never came to its end.
    """

    run: Run
    date: datetime | None
    manifest: Manifest | None
    size: int
    published: bool
    copy_of: str | None = None
    problem: str | None = None
    interrupted: bool = False

    @property
    def accuracy(self) -> tuple[str, float] | None:
        """What the model was judged by, as metrics.json names it, and the accuracy."""
        if self.manifest is None or self.run.judged is None:
            return None
        side, found = self.run.judged
        return side, float(found["accuracy"])


def list_runs(root: Path) -> list[ListedRun]:
    """Return the finished runs, newest first.

    Raises:
        DataError: there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"TF_FILES must be a workspace. Received: {root}, which is no folder.")
    workspace = Workspace(root.absolute())
    return [_listed(run, workspace) for run in _newest_first(workspace)]


def use(root: Path, name: str, report: Reporter) -> Run:
    """Publish a finished run; return it.

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
    known = {run.name: run for run in _newest_first(workspace)}
    chosen = known.get(Path(name).name)
    if chosen is None or (name != chosen.name and Path(name).resolve() != chosen.folder.resolve()):
        raise UsageError(
            f"A run of {workspace.root} must be named: {', '.join(known) or 'there is none'}. "
            f"Received: {name!r}.",
            setting="use",
        )
    if not chosen.manifest.checks.get("passed"):
        raise ChecksFailed(
            "Only a run whose exports agree with its model can be published. Received: "
            f"{chosen.name}, whose exports do not.",
            setting="use",
        )
    with workspace.lock(report.warn):
        workspace.publish(chosen)
    return chosen


def prunable(root: Path, keep: int, report: Reporter) -> list[ListedRun]:
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
        interrupted = [_listed(run, workspace) for run in workspace.unfinished_runs()]
    own = [_listed(run, workspace) for run in workspace.own_runs()[::-1]]
    return [*(one for one in own[keep:] if not one.published), *interrupted]


def delete(root: Path, runs: Sequence[ListedRun], report: Reporter) -> None:
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
        for listed in runs:
            run = listed.run
            if _is_published(run, workspace):
                continue
            if run.folder.is_symlink():
                run.folder.unlink()  # where it leads is not ours
                continue
            if listed.interrupted and run.is_finished:
                continue
            # Unfinished from here on, whatever happens.
            run.manifest_file.unlink(missing_ok=True)
            shutil.rmtree(run.folder, ignore_errors=not run.folder.exists())


def _newest_first(workspace: Workspace) -> list[Run]:
    return workspace.finished_runs()[::-1]


def _is_published(run: Run, workspace: Workspace) -> bool:
    published = workspace.published_run()
    return published is not None and run.folder.resolve() == published.resolve()


def _listed(run: Run, workspace: Workspace) -> ListedRun:
    files = [path for path in run.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    name, date = run.name_and_time()
    listed = ListedRun(
        run=run,
        date=date,
        manifest=None,
        size=sum(path.stat().st_size for path in files),
        published=_is_published(run, workspace),
        copy_of=name if name != run.name else None,
    )
    if not run.is_finished:
        return replace(listed, copy_of=None, problem="interrupted", interrupted=True)
    try:
        return replace(listed, manifest=run.manifest)
    except BundleError as error:
        return replace(listed, problem=str(error))
