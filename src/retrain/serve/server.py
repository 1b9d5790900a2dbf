"""Starting the server, in this process or in several, and stopping it without losing a request."""

import contextlib
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from socket import socket

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from retrain.config import ServeConfig
from retrain.errors import Terminated, UsageError
from retrain.serve.app import Service
from retrain.serve.connections import Punctual, most_connections
from retrain.serve.corrections import Corrections
from retrain.serve.journal import open_journal
from retrain.web.server import is_loopback


def takes_corrections(service: Service, host: str) -> bool:
    """Return whether the page may add pictures to the workspace.

    Raises:
        UsageError: it shall, but there is no workspace that can be written to.
    """
    possible, wanted = Corrections(service.root).is_possible(), service.config.corrections
    if wanted and not possible:
        raise UsageError(
            f"Corrections need a workspace that can be written to. Received: {service.root}.",
            setting="corrections",
        )
    if wanted is None:
        wanted = is_loopback(host) or bool(service.token)
    return wanted and possible


def serve(service: Service, server: socket, ready: Callable[[], None]) -> None:
    """Answer requests until the process is asked to stop; what is under way is finished.

    Args:
        service: what is served.
        server: a listening socket; it is closed at the end.
        ready: called when the model is open, right before requests are answered.

    Raises:
        BundleError: there is no model, or it cannot be read.
    """
    with server, tempfile.TemporaryDirectory(prefix="retrain-serve-") as folder:
        several = service.config.workers > 1
        if several:
            service = replace(service, counters=Path(folder))
        app = service()
        ready()
        open_journal()
        with contextlib.suppress(KeyboardInterrupt, Terminated):  # how a server ends
            if several:
                del app  # each worker opens a model of its own; this one has shown that it can
                Multiprocess(_config(_Worker(service), service.config), [server]).run()
            else:
                uvicorn.Server(_config(app, service.config)).run([server])


@dataclass(frozen=True)
class _Worker:
    """Makes the application in a process of its own."""

    service: Service

    def __call__(self) -> Starlette:
        open_journal()
        return self.service()


def _config(app: ASGIApp | Callable[[], ASGIApp], config: ServeConfig) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        factory=isinstance(app, _Worker),
        http=Punctual,
        ws="none",
        workers=config.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=most_connections(),
        timeout_graceful_shutdown=math.ceil(config.timeout),
    )
