"""Where requests meet the model: their bodies are read, their pictures guessed, within limits."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.requests import Request

from retrain.config import ServeConfig
from retrain.infer.guess import Guess
from retrain.infer.model import Model
from retrain.serve.hosted import Hosted, Served
from retrain.serve.refusals import Refused

T = TypeVar("T")

SMALL = 64 << 10  # bytes of a body that is understood faster than handed to a thread
MOST_NESTED = 1_000_000  # lists and objects in JSON, of which each takes memory
BODIES = 8  # bodies of the largest size that may be in memory at a time
NOTE = "retrain.note"  # where a request's scope keeps its Note


@dataclass
class Note:
    """What the log and the counters are told of a request.

    dialect: which protocol it spoke. pictures, unreadable: how many were guessed, and were not.
    body: bytes of its body that have arrived. whole: whether that is all of it.
    """

    dialect: str = "other"
    pictures: int = 0
    unreadable: int = 0
    body: int = 0
    whole: bool = False


@dataclass
class Desk:
    """What all handlers share.

    hosted: the model. threads: that decode and guess. busy: requests that are being guessed.
    held: bytes of bodies in memory.
    """

    hosted: Hosted
    config: ServeConfig
    threads: int
    busy: int = 0
    held: int = 0
    _pool: ThreadPoolExecutor = field(init=False)
    _one_large: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="guess")

    def close(self) -> None:
        """Let the threads go; what they are at is finished."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def served(self, name: str, version: str | None = None) -> Served:
        """Return the model that a client asks for.

        Raises:
            Refused: it is not the one that is here (404).
        """
        served = self.hosted.served
        if name != self.config.name:
            raise Refused(404, f"There is no model {name!r} here; it is {self.config.name!r}.")
        if version not in (None, served.version):
            raise Refused(404, f"There is no version {version} here; it is {served.version}.")
        return served

    async def body(self, request: Request) -> bytes:
        """Return the whole body of a request; it counts as held until the request is answered.

        Raises:
            Refused: it is compressed (415), or too much is held already (503).
        """
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refused(415, "A body must not be compressed.")
        note, parts = note_of(request), []
        most = BODIES * self.config.max_body << 20
        async for part in request.stream():
            note.body += len(part)
            self.held += len(part)
            if self.held > most:
                raise Refused(503, "Too many large requests at a time; come again.")
            parts.append(part)
        note.whole = True
        return b"".join(parts)

    def release(self, note: Note) -> None:
        """Forget the body of a request that was answered."""
        self.held -= note.body

    async def understood(self, body: bytes, read: Callable[[Any], T]) -> T:
        """Return what `read` makes of JSON; of large bodies one at a time, and in a thread.

        Raises:
            Refused: it is not JSON (400), or holds too many lists (413); or what `read` raises.
        """
        if len(body) <= SMALL:
            return _read_json(body, read)
        async with self._one_large:
            return await asyncio.to_thread(_read_json, body, read)

    async def guess(
        self, model: Model, pictures: Sequence[bytes | Guess], request: Request
    ) -> list[Guess]:
        """Return a guess for each picture, in order; of one that cannot be read, the reason.

        They are decoded and guessed side by side, and take turns with those of other requests.

        Raises:
            Refused: too many requests are waiting (429).
        """
        return await self.compute(model.attempt, pictures, request)

    async def compute(
        self, function: Callable[[Any], T], items: Sequence[Any], request: Request
    ) -> list[T]:
        """Return `function` of each item, in order, computed by the threads that guess.

        Raises:
            Refused: too many requests are waiting (429).
        """
        if self.busy >= self.config.max_requests:
            raise Refused(429, f"{self.busy} requests are waiting already; come again.")
        loop, turns = asyncio.get_running_loop(), asyncio.Semaphore(2 * self.threads)

        async def one(item: Any) -> T:
            async with turns:
                return await loop.run_in_executor(self._pool, function, item)

        self.busy += 1
        try:
            found = await asyncio.gather(*map(one, items))
        finally:
            self.busy -= 1
        note = note_of(request)
        note.pictures += len(found)
        note.unreadable += sum(isinstance(each, Guess) and each.error is not None for each in found)
        return found


def note_of(request: Request) -> Note:
    """Return what is noted of a request."""
    note: Note = request.scope[NOTE]
    return note


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # as JSON writes it


def _read_json(body: bytes, read: Callable[[Any], T]) -> T:
    if body.count(b"[") + body.count(b"{") > MOST_NESTED:
        raise Refused(413, f"JSON must hold at most {MOST_NESTED} lists and objects.")
    try:
        value = _parsed(body)
    except UnicodeEncodeError as error:
        raise Refused(400, f"Texts in JSON must be Unicode: {error.reason}.") from None
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"The body must be JSON: {error}.") from None
    return read(value)


def _parsed(body: bytes) -> Any:
    """Return what JSON means; texts with half of a surrogate pair could not be answered.

    Raises:
        UnicodeEncodeError: there is such a text. ValueError, RecursionError: it is no JSON.
    """
    text = body.decode(json.detect_encoding(body))
    value = json.loads(text)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def refuse_if_none(guesses: Sequence[Guess]) -> None:
    """Refuse a request none of whose pictures could be read; one bad picture among good is no harm.

    Raises:
        Refused: all have errors (400).
    """
    if guesses and all(guess.error for guess in guesses):
        raise Refused(400, f"A picture must be readable. Received: {guesses[0].error}.")
