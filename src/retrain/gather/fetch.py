"""Fetches one address: bounded in size, time, redirects and attempts."""

import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.request import getproxies

import httpcore
import httpx

from retrain.data.kinds import START, other_kind, possible_formats
from retrain.errors import first_line
from retrain.gather import robots
from retrain.gather.guarded import Deadline, Guarded, NotPublic, is_public
from retrain.version import VERSION

USER_AGENT = f"{robots.AGENT}/{VERSION} (fetches pictures from a person's own list)"
PIECE = 1 << 16  # bytes that are decompressed at a time
LONGEST_WAIT = 30.0  # seconds that a server may ask for between attempts
FIRST_WAIT = 0.5  # seconds, doubled with each attempt
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # answers that another attempt may better
_ERRORS = (
    httpx.HTTPError,
    httpx.StreamError,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    OSError,
)


@dataclass(frozen=True)
class Limits:
    """What one address may cost.

    bytes: of its answer. seconds: in all, for one attempt. stall: seconds without a byte.
    redirects: that are followed. attempts: in all.
    """

    bytes: int = 20 << 20
    seconds: float = 60.0
    stall: float = 10.0
    redirects: int = 5
    attempts: int = 3


class Failed(Exception):
    """An address that gave nothing; the message is the reason.

    passing: whether another attempt may go better. by_choice: whether other options would fetch it.
    wait: seconds that the server asks for.
    """

    def __init__(
        self, reason: str, passing: bool = False, *, by_choice: bool = False, wait: float = 0.0
    ) -> None:
        super().__init__(reason)
        self.passing, self.by_choice, self.wait = passing, by_choice, wait


class Fetcher:
    """Fetches addresses from several threads; keeps connections, but no cookies."""

    def __init__(
        self, limits: Limits, connections: int, allow_private: bool, ignore_robots: bool
    ) -> None:
        """Connect to nothing yet.

        Args:
            limits: what one address may cost.
            connections: at the same time.
            allow_private: whether private and loopback addresses are fetched, and proxies used.
            ignore_robots: whether robots.txt is not asked for.
        """
        self.limits, self._ignore_robots = limits, ignore_robots
        self._stop = threading.Event()
        self._deadline = Deadline(self._stop.is_set)
        self._robots = _RobotsOfHosts(self._get_robots)
        # Behind a proxy nobody sees where a connection ends.
        proxied = allow_private and bool(getproxies().keys() & {"http", "https", "all"})
        allowed = (lambda _: True) if allow_private else is_public
        self._client = httpx.Client(
            transport=None if proxied else Guarded(allowed, self._deadline, connections),
            headers={"User-Agent": USER_AGENT, "Accept": "image/*", "Accept-Encoding": "identity"},
            timeout=limits.stall,
            trust_env=proxied,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    @property
    def closed(self) -> bool:
        """Whether it was closed, and requests that were under way failed for that."""
        return self._stop.is_set()

    def close(self) -> None:
        """End all that is under way."""
        self._stop.set()
        self._client.close()

    def get(self, url: str) -> bytes:
        """Return the content of a picture's address, after several attempts if it takes them.

        Raises:
            Failed: it gives nothing, or nothing that begins like a picture.
        """
        for attempt in range(1, self.limits.attempts + 1):
            try:
                return self._once(httpx.URL(url), not self._ignore_robots, self.limits.bytes, True)
            except Failed as failed:
                if not failed.passing or attempt == self.limits.attempts:
                    raise
                back_off = FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.0)
                if self._stop.wait(min(max(failed.wait, back_off), LONGEST_WAIT)):
                    raise
        raise AssertionError

    def _once(self, url: httpx.URL, ask_robots: bool, most: int, picture: bool) -> bytes:
        self._deadline.at = time.monotonic() + self.limits.seconds
        for _ in range(self.limits.redirects + 1):
            if url.scheme not in ("http", "https") or not url.host:
                raise Failed("redirected to what is no http address")
            if ask_robots and not self._robots.allow(url):
                raise Failed(
                    "robots.txt of its server asks programs not to fetch it", by_choice=True
                )
            try:
                with self._client.stream("GET", url, follow_redirects=False) as response:
                    if response.status_code in (301, 302, 303, 307, 308):
                        url = _target(response, url)
                        continue
                    _refuse_status(response)
                    return b"".join(_body(response, most, picture, self._deadline))
            except NotPublic as error:
                raise Failed(f"{error}; --allow-private fetches from it", by_choice=True) from error
            except (*_ERRORS, httpx.InvalidURL, UnicodeError) as error:
                raise _failure(error) from error
        raise Failed(f"redirected more than {self.limits.redirects} times")

    def _get_robots(self, url: httpx.URL) -> robots.Rules:
        """Ask a server for its rules; it has none where it refuses.

        Raises:
            Failed: there is no answer, which may mean anything (RFC 9309 section 2.3.1.4).
        """
        until = self._deadline.at
        try:
            content = self._once(url, False, robots.MOST_BYTES, False)
        except Failed as failed:
            if failed.passing:
                raise Failed(f"robots.txt of its server: {failed}", passing=True) from failed
            return robots.ALL
        finally:
            self._deadline.at = until
        return robots.parse(content.decode("utf-8", errors="replace"))


@dataclass
class _RobotsOfHosts:
    """The rules of each server, asked for once, or why there are none to be had."""

    ask: Callable[[httpx.URL], robots.Rules]
    known: dict[str, robots.Rules | Failed] = field(default_factory=dict)
    locks: dict[str, threading.Lock] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def allow(self, url: httpx.URL) -> bool:
        """Tell whether a server allows an address; whoever comes second waits for the answer."""
        server = f"{url.scheme}://{url.netloc.decode('ascii')}"
        with self.lock:
            own = self.locks.setdefault(server, threading.Lock())
        with own:
            if server not in self.known:
                self.known[server] = self._asked(httpx.URL(f"{server}/robots.txt"))
        rules = self.known[server]
        if isinstance(rules, Failed):
            raise Failed(str(rules), passing=True)
        return rules.allow(url.raw_path.decode("ascii"))

    def _asked(self, url: httpx.URL) -> robots.Rules | Failed:
        try:
            return self.ask(url)
        except Failed:  # once more, as an address gets several attempts
            try:
                return self.ask(url)
            except Failed as failed:
                return failed


def _target(response: httpx.Response, url: httpx.URL) -> httpx.URL:
    """Return where a redirect leads, without a name and password that it may hold."""
    location = response.headers.get("location", "")
    if not location:
        raise Failed("redirected to nowhere")
    return url.join(location).copy_with(userinfo=b"", fragment=None)


def _refuse_status(response: httpx.Response) -> None:
    code = response.status_code
    if code == 200:
        return
    wait = response.headers.get("retry-after", "")
    raise Failed(
        f"the server answers {code} {response.reason_phrase}".rstrip(),
        code in _PASSING,
        wait=float(wait) if wait.isdecimal() else 0.0,
    )


def _body(
    response: httpx.Response, most: int, picture: bool, deadline: Deadline
) -> Iterator[bytes]:
    """Yield the answer in pieces; it is looked at and measured as it comes."""
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise _too_large(most)
    start, looked, size = b"", not picture, 0
    for piece in _decompressed(response):
        deadline.left()
        size += len(piece)
        if size > most:
            raise _too_large(most)
        if not looked:
            start += piece
            if looked := len(start) >= START:
                _refuse_other_kinds(start)
        yield piece
    if not looked:
        _refuse_other_kinds(start)


def _decompressed(response: httpx.Response) -> Iterator[bytes]:
    """Yield an answer that was compressed unasked in bounded pieces."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Failed(f"compressed in a way that was not asked for ({encoding})")
    inflate = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    for raw in response.iter_raw():
        while raw:
            try:
                yield inflate.decompress(raw, PIECE)
            except zlib.error as error:
                raise Failed(f"said to be {encoding}, but is not") from error
            raw = inflate.unconsumed_tail


def _refuse_other_kinds(start: bytes) -> None:
    if not start:
        raise Failed("an empty answer")
    if not possible_formats(start):
        page = start.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html"))
        raise Failed("a web page, not a picture" if page else other_kind(start))


def _too_large(most: int) -> Failed:
    return Failed(f"larger than {most / 2**20:g} MiB", by_choice=True)


def _failure(error: Exception) -> Failed:
    """Say what went wrong on the way."""
    if isinstance(error, httpx.TimeoutException | httpcore.TimeoutException):
        return Failed("no answer in time", passing=True)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol | UnicodeError):
        return Failed("redirected to what is no address")
    if isinstance(error, httpx.RemoteProtocolError | httpcore.RemoteProtocolError):
        return Failed("the server broke off", passing=True)
    if "is not known" in str(error):
        return Failed(f"no such server ({first_line(error)})", passing=True)
    return Failed(f"no connection ({first_line(error)})", passing=True)
