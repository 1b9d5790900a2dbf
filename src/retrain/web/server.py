"""How a page or a server of ours is started, told of, and ended."""

import ipaddress
import os
import socket
import sys
import webbrowser
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from retrain.errors import MachineError, Terminated, UsageError
from retrain.web.guards import TOKEN

LOOPBACK = "127.0.0.1"
MOST_PORT = 65535
GRACE = 5  # seconds that answers under way have when the server is asked to stop


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen at can be reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens already, so that its address may be told.

    Args:
        host: the name or number of the address to listen at.
        port: a number; 0 for any that is free.

    Raises:
        UsageError: there is no such address here, or no such port.
        MachineError: the port is taken, or not for us.
    """
    if not 0 <= port <= MOST_PORT:
        raise UsageError(
            f"A port must be a number from 0 to {MOST_PORT}. Received: {port}.", setting="port"
        )
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise UsageError(
            f"The server must listen at an address of this machine. Received: {host}:{port}.",
            setting="host",
        ) from error
    family, kind, protocol, _, address = found[0]
    server = socket.socket(family, kind, protocol)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(address)
        server.listen(128)
    except OSError as error:
        server.close()
        reason = error.strerror or error
        raise MachineError(
            f"The server cannot listen at {host}:{port}: {reason}. Choose another port.",
            setting="port",
        ) from error
    return server


def address_of(server: socket.socket, token: str = "", host: str = "") -> str:
    """Return the address that people open.

    Args:
        server: a listening socket.
        token: that lets them in; "" where none is needed.
        host: the name to use; "" for the socket's own.
    """
    own, port = server.getsockname()[:2]
    name = host or own
    if ipaddress.ip_address(own).is_unspecified and host in ("", own):
        name = LOOPBACK  # "all addresses" is none that a browser could open
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/" + (f"?{TOKEN}={token}" if token else "")


def has_browser() -> bool:
    """Tell whether a window can be opened here: no terminal browsers, nothing over the network."""
    if sys.platform != "darwin" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def run(
    app: ASGIApp,
    server: socket.socket,
    *,
    ready: Callable[[], None] = lambda: None,
    concurrency: int | None = None,
) -> None:
    """Answer requests until the process is asked to stop; what is under way is finished.

    Args:
        app: the ASGI application.
        server: a listening socket; it is closed at the end.
        ready: called before the first request is answered; the address can be opened by then.
        concurrency: connections and tasks beyond which requests are refused (503); None for any.
    """
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        ws="none",
        limit_concurrency=concurrency,
        timeout_graceful_shutdown=GRACE,
    )
    ready()
    try:
        uvicorn.Server(config).run(sockets=[server])
    except (KeyboardInterrupt, Terminated):  # how a server ends
        pass
    finally:
        server.close()


def open_browser(address: str) -> None:
    """Show an address in a browser, where there is one."""
    if has_browser():
        webbrowser.open(address)
