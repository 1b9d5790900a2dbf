"""Around all requests: how long they may take, what is counted of them and written to the log."""

import asyncio
import logging
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrain.serve.counters import Counters
from retrain.serve.desk import NOTE, Desk, Note
from retrain.serve.journal import LONGEST, log
from retrain.serve.refusals import refusal


class Oversight:
    """Gives each request its time and its Note, and tells the counters and the log of it."""

    def __init__(self, app: ASGIApp, desk: Desk, counters: Counters) -> None:
        """Watch over an app."""
        self.app, self.desk, self.counters = app, desk, counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in time; else 408 where the client was slow, 503 where we were.

        A bug is answered, too (500), and raised again for the log.
        """
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        note = scope[NOTE] = Note()
        begun, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            async with asyncio.timeout(self.desk.config.timeout):
                await self.app(scope, receive, noting)
        except TimeoutError:
            if status:  # the answer is under way: nobody takes it
                raise
            await _too_late(note, self.desk.config.timeout)(scope, receive, noting)
        except Exception as error:
            if not status:
                bug = f"A bug, please report it: {type(error).__name__}."
                await refusal(500, bug)(scope, receive, noting)
            raise
        finally:
            self.desk.release(note)
            self._tell(scope, note, status, time.perf_counter() - begun)

    def _tell(self, scope: Scope, note: Note, status: int, seconds: float) -> None:
        self.counters.request(note.dialect, status, seconds)
        for name in ("pictures", "unreadable", "body"):
            self.counters.add(name, amount=getattr(note, name))
        if not self.desk.config.log_requests:
            return
        # Whoever serves learns which name to allow.
        named = {"host": Headers(scope=scope).get("host", "")[:LONGEST]} if status == 421 else {}
        log(
            "request",
            logging.WARNING if status >= 500 or not status else logging.INFO,
            method=scope["method"],
            path=scope["path"][:LONGEST],
            status=status,
            ms=round(1000 * seconds, 1),
            bytes=note.body,
            pictures=note.pictures,
            unreadable=note.unreadable,
            client=(scope.get("client") or ("",))[0],
            **named,
        )


def _too_late(note: Note, seconds: float) -> ASGIApp:
    if note.whole:
        return refusal(503, f"There was no guess within {seconds:g} seconds; come again.")
    return refusal(408, f"The request did not arrive within {seconds:g} seconds.")
