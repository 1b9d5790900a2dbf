"""Starts the page of one workspace, and ends it."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from retrain.clean.album import Album, Shown
from retrain.clean.app import Helpers, Page, page_app
from retrain.clean.helpers import Heat, Once, published
from retrain.clean.neighbours import Neighbours
from retrain.clean.review import Review
from retrain.clean.thumbnails import Thumbnails
from retrain.clean.training import Training
from retrain.data.corrections import read_corrections
from retrain.data.images import PixelRules
from retrain.evaluate.findings import JSON, Finding, read_findings
from retrain.files import machine_errors
from retrain.model.backbones import backbone_named
from retrain.progress import Reporter, Silent
from retrain.run import Run
from retrain.web import server as web
from retrain.web.guards import new_token
from retrain.workspace import Workspace

DEFAULT = "efficientnet_lite0"  # whose pixel rules hold before the first training

Check = Callable[[], Sequence[Finding]]


@dataclass(frozen=True)
class Listening:
    """Where the page is to be found.

    host: the address to listen at.
    port: a number; 0 for any that is free.
    names: under which it is reached, beside localhost and numeric addresses.
    """

    host: str = web.LOOPBACK
    port: int = 0
    names: tuple[str, ...] = ()


def serve_page(
    workspace: Workspace,
    check: Check,
    training: Training,
    listening: Listening,
    report: Reporter,
    ready: Callable[[str], None],
) -> None:
    """Serve the page until the process is asked to stop.

    Args:
        workspace: whose pictures are looked through.
        check: looks for findings and keeps them; called where nobody has looked yet.
        training: that the page may start.
        listening: where.
        report: hears warnings, shows progress.
        ready: called with the address once it can be opened.

    Raises:
        DataError, MachineError, UsageError: see `errors.py`.
    """
    run = published(workspace)
    rules = run.rules if run else _default_rules()
    read_corrections(workspace.corrections)  # what is wrong with it shows at once
    findings = read_findings(workspace.root) if (workspace.root / JSON).exists() else check()
    since = time.time()
    with report.bar("pictures", 0) as advance, machine_errors(workspace.root):
        album = Album.of(workspace, rules, since, advance)
    review, heat = Review(workspace, album, findings), Heat(workspace)
    training.after = lambda: _look_again(review)
    page = Page(
        review,
        Thumbnails(workspace.bottlenecks),
        training,
        Helpers(
            neighbours=Once(partial(_neighbours, album, workspace, run)),
            heat=heat,
            has_model=heat.is_ready,
            check=_Checking(review, check),
        ),
    )
    token = new_token()
    with web.listening(listening.host, listening.port) as server:
        if not web.is_loopback(listening.host):
            report.warn(
                f"The page can be reached from other machines at {listening.host}, unencrypted: "
                "whoever learns its address sees your pictures and can correct them."
            )
        try:
            web.run(
                page_app(page, token, listening.names),
                server,
                ready=lambda: ready(web.address_of(server, token)),
            )
        finally:
            training.stop()


def _default_rules() -> PixelRules:
    return PixelRules(backbone_named(DEFAULT).size, "squash")


def _neighbours(
    album: Album, workspace: Workspace, run: Run | None
) -> Callable[[Shown], list[str]]:
    from retrain.jobs.known_features import known_features  # SciPy with it; the page comes first

    pictures = album.all()
    known = known_features([shown.picture for shown in pictures], workspace, run, Silent())
    return Neighbours(pictures, known.values).of


def _look_again(review: Review) -> None:
    """Take up what a training found besides."""
    review.findings = read_findings(review.workspace.root)


class _Checking:
    """Looks for findings anew, one search at a time."""

    def __init__(self, review: Review, check: Check) -> None:
        self._review, self._check = review, check
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self._review.findings = self._check()
