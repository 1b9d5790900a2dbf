"""A transport for httpx that connects to public addresses alone, and ends in time.

What is checked is the address that a connection goes to, after its name was resolved, so that
neither a redirect nor a name that means another machine from one moment to the next leads inside.
"""

import ipaddress
import socket
import ssl
import threading
import time
import typing
from collections.abc import Callable, Iterable, Iterator

import httpcore
import httpx

SLICE = 0.5  # seconds until a waiting thread looks whether it should go on
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # IPv4 behind a translator, RFC 6052

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Stream = httpcore.NetworkStream


class NotPublic(Exception):
    """A name that leads to a private or loopback address; the message names it."""


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the internet, also where IPv6 only wraps it.

    >>> [is_public(ipaddress.ip_address(a)) for a in ("1.1.1.1", "10.0.0.1", "::ffff:127.0.0.1")]
    [True, False, False]
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


class Deadline(threading.local):
    """Until when this thread may wait for the network.

    at: on the clock of `time.monotonic()`. stopped: tells whether all should end.
    """

    at: float = float("inf")

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        self.stopped = stopped

    def left(self) -> float:
        """Return the seconds that are left.

        Raises:
            httpcore.ReadTimeout: none are.
        """
        left = self.at - time.monotonic()
        if left <= 0 or self.stopped():
            raise httpcore.ReadTimeout("the time for this address is over")
        return left


class Guarded(httpx.BaseTransport):
    """Requests over a pool of connections, each to an address that is allowed."""

    def __init__(
        self, allowed: Callable[[Address], bool], deadline: Deadline, connections: int
    ) -> None:
        """Open nothing yet.

        Args:
            allowed: tells whether a connection may go to an address.
            deadline: of each thread's request.
            connections: at most, at the same time.
        """
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=connections,
            keepalive_expiry=5.0,
            network_backend=_Backend(allowed, deadline),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raises the errors of httpcore, and NotPublic."""
        assert isinstance(request.stream, httpx.SyncByteStream)
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        response = self._pool.handle_request(
            httpcore.Request(
                request.method,
                url,
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _Backend(httpcore.NetworkBackend):
    def __init__(self, allowed: Callable[[Address], bool], deadline: Deadline) -> None:
        self._allowed, self._deadline = allowed, deadline
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[typing.Any] | None = None,
    ) -> Stream:
        """Connect to the first address of a name that answers, if all of them are allowed."""
        error: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            timeout = min(timeout or SLICE, self._deadline.left())
            try:
                stream = self._network.connect_tcp(
                    str(address), port, timeout, local_address, socket_options
                )
                return _Timed(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refused:
                error = refused
        raise error

    def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} is not known") from error
        addresses = [ipaddress.ip_address(str(one[4][0]).split("%")[0]) for one in found]
        for address in addresses:
            if not self._allowed(address):
                is_name = not _is_address(host)
                at = f"at the private address {address}" if is_name else "a private address"
                raise NotPublic(f"{host} is {at}")
        return addresses


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]").split("%")[0])
    except ValueError:
        return False
    return True


class _Timed(Stream):
    """A connection whose reading ends with the thread's deadline, however little comes at once."""

    def __init__(self, stream: Stream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        end = time.monotonic() + (timeout if timeout is not None else float("inf"))
        while True:
            left = min(self._deadline.left(), SLICE)
            try:
                return self._stream.read(max_bytes, left)
            except httpcore.ReadTimeout:
                if time.monotonic() >= end:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, min(timeout or SLICE, self._deadline.left()))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Stream:
        limit = min(timeout or SLICE, self._deadline.left())
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, limit), self._deadline)

    def get_extra_info(self, info: str) -> typing.Any:
        return self._stream.get_extra_info(info)
