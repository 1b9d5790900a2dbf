"""The application: all dialects over one model, within guards and limits."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from threadpoolctl import threadpool_limits

from retrain.config import ServeConfig
from retrain.data.stream import cores
from retrain.infer.model import Model
from retrain.run import Run
from retrain.serve.corrections import Corrections
from retrain.serve.counters import Counters
from retrain.serve.desk import Desk
from retrain.serve.hosted import Hosted
from retrain.serve.inference_v2 import LIVE, READY, InferenceV2
from retrain.serve.journal import log
from retrain.serve.oversight import Oversight
from retrain.serve.page import Page
from retrain.serve.refusals import Refused, on_http_exception, on_refused, refusal
from retrain.serve.tensorflow_rest import TensorFlowRest
from retrain.serve.uploads import Uploads
from retrain.web import guards

LOOK = 1.0  # seconds between two looks for a new model
POLICY = guards.PAGE_POLICY.replace("img-src 'self'", "img-src 'self' blob:")  # a chosen picture
NAME_HINT = "Whoever runs it can start it with --allow-host NAME."
HINT = "Send the token as `Authorization: Bearer TOKEN`, or open the page with ?token=TOKEN."


@dataclass(frozen=True)
class Service:
    """What is served, and how; small enough to be sent to other processes.

    root: a workspace, one of its runs, or a bundle. token: that requests must bring; "" for none.
    corrections: whether the page may add pictures to the workspace. counters: a folder where
    workers count together; None for one process.
    """

    root: Path
    config: ServeConfig
    token: str
    corrections: bool
    counters: Path | None = None

    def __call__(self) -> Starlette:
        """Open the model and return the application.

        Raises:
            BundleError: there is no model, or it cannot be read.
        """
        config, threads = self.config, max(1, cores() // self.config.workers)

        def open_model(run: Run) -> Model:
            most = config.max_pixels * 1_000_000
            return Model(run, precision=config.precision, threads=threads, most_pixels=most)

        # BLAS has threads of its own, which wait for each other's small products by spinning.
        threadpool_limits(limits=1, user_api="blas")
        counters = Counters(self.counters)
        desk = Desk(Hosted(self.root, open_model, log), config, threads)
        corrections = Corrections(self.root) if self.corrections else None

        async def metrics(_: Request) -> Response:
            served = desk.hosted.served
            text = counters.text(served.manifest.run, served.version, desk.busy)
            return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

        # Routes are tried in turn: what is asked most comes first.
        dialects = (Uploads(desk), TensorFlowRest(desk), InferenceV2(desk), Page(desk, corrections))
        routes = [route for dialect in dialects for route in dialect.routes()]
        return Starlette(
            routes=[*routes, Route("/metrics", metrics, methods=["GET"])],
            middleware=self._guards(desk, counters),
            exception_handlers={
                Refused: on_refused,
                HTTPException: on_http_exception,
                ClientDisconnect: _on_gone,
            },
            lifespan=lambda _: _watched(desk, counters),
        )

    def _guards(self, desk: Desk, counters: Counters) -> list[Middleware]:
        gate = Middleware(
            guards.TokenGate, token=self.token, public=(LIVE, READY), hint=HINT, refuse=refusal
        )
        return [
            Middleware(guards.SecurityHeaders, policy=POLICY),
            Middleware(Oversight, desk=desk, counters=counters),
            Middleware(
                guards.AllowedHosts, names=self.config.hosts, hint=NAME_HINT, refuse=refusal
            ),
            *([gate] if self.token else []),
            Middleware(guards.SameOrigin, refuse=refusal),
            Middleware(guards.BodyLimit, limit=self.config.max_body << 20, refuse=refusal),
        ]


async def _on_gone(_: Request, error: Exception) -> Response:
    """Answer nobody: the client hung up while it was sending."""
    return refusal(408, "The request did not arrive.")


@contextlib.asynccontextmanager
async def _watched(desk: Desk, counters: Counters) -> AsyncIterator[None]:
    """Look for new models while requests are answered."""

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK)
            hosted = desk.hosted
            before = hosted.taken_over, hosted.refused
            await asyncio.to_thread(hosted.look)
            counters.add("taken_over", amount=hosted.taken_over - before[0])
            counters.add("refused", amount=hosted.refused - before[1])

    looking = asyncio.create_task(look())
    log("ready", run=desk.hosted.served.manifest.run, process=os.getpid())
    try:
        yield
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        desk.close()
        log("stopped", process=os.getpid())
