"""A server on loopback with all the habits that servers have; bounded, and gone after the test."""

import contextlib
import gzip
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 20.0  # seconds that a stalling answer takes at most
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers by the path."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # answers in two parts would wait for 40 ms
    server: "PictureServer"

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        self.server.headers_of[self.path] = dict(self.headers)
        with contextlib.suppress(OSError):
            answer = self.server.answers.get(self.path.split("?")[0])
            answer(self) if answer else self.reply(404, b"gone", "text/plain")

    def reply(self, code: int, body: bytes, kind: str = "image/jpeg", **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class PictureServer(ThreadingHTTPServer):
    """Serves what is put into `answers`, by path; `asked` counts requests."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.headers_of: dict[str, dict[str, str]] = {}
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what is tested."""

    def file(self, path: str, content: bytes, **headers: str) -> str:
        """Serve a file; return its address."""
        self.answers[path] = lambda handler: handler.reply(200, content, **headers)
        return f"{self.url}{path}"

    def status(self, path: str, code: int, **headers: str) -> str:
        """Answer with a status alone."""
        self.answers[path] = lambda handler: handler.reply(code, b"", **headers)
        return f"{self.url}{path}"

    def redirect(self, path: str, target: str) -> str:
        """Lead elsewhere."""
        return self.status(path, 302, Location=target)

    def does(self, path: str, answer: Answer) -> str:
        """Answer in a way of one's own."""
        self.answers[path] = answer
        return f"{self.url}{path}"

    def stalls(self, path: str) -> str:
        """Begin, and then say nothing."""

        def answer(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "1000000")
            handler.end_headers()
            self.ended.wait(PATIENCE)

        return self.does(path, answer)

    def drips(self, path: str) -> str:
        """Send a header's letters one at a time, so that no single wait is long."""

        def answer(handler: Handler) -> None:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and not self.ended.wait(0.05):
                handler.wfile.write(b"x")
                handler.wfile.flush()

        return self.does(path, answer)

    def breaks_off(self, path: str, content: bytes) -> str:
        """Promise more than comes."""

        def answer(handler: Handler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content[: len(content) // 2])
            handler.close_connection = True

        return self.does(path, answer)

    def pours(self, path: str, start: bytes) -> str:
        """Send for as long as somebody listens, 64 MB at most, without saying how much."""

        def answer(handler: Handler) -> None:
            handler.send_response(200)
            handler.end_headers()
            handler.close_connection = True
            handler.wfile.write(start)
            for _ in range(1024):
                handler.wfile.write(bytes(1 << 16))

        return self.does(path, answer)

    def gzip_bomb(self, path: str, start: bytes, size: int) -> str:
        """Send a little that becomes much."""
        return self.file(path, gzip.compress(start + bytes(size)), Content_Encoding="gzip")


@contextlib.contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[PictureServer]:
    """Run a server until the end of the block."""
    with PictureServer(host) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
