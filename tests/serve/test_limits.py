"""What is too much, too slow or too strange is refused, memory stays bounded, others are served."""

import asyncio
import contextlib
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from pictures import draw, encoded
from serving import Server, started

MIB = 1 << 20
ROOM = 150.0  # MB by which memory may grow while a test attacks


@pytest.fixture(scope="module")
def strict(trained: Path) -> Iterator[Server]:
    """A server with narrow limits."""
    limits = ("--max-body", "2", "--max-pixels", "4", "--timeout", "2", "--no-corrections")
    with started(trained, *limits) as running:
        yield running


def serves(server: Server, photo: bytes) -> bool:
    return bool(server.post("/", photo).json()[0]["label"] == "disc")


def send(server: Server, *parts: bytes, wait: float = 60.0) -> bytes:
    """Send raw bytes; return what comes until the other side hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        with contextlib.suppress(OSError):
            for part in parts:
                connection.sendall(part)
        answer = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                answer += part
        return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_body_that_says_that_it_is_too_long_is_not_read(strict: Server, photo: bytes) -> None:
    before = strict.memory()
    answer = send(
        strict, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1073741824\r\n\r\n"
    )
    assert status(answer) == 413
    assert b"at most 2097152 bytes" in answer
    assert strict.memory() - before < ROOM
    assert serves(strict, photo)


def test_a_body_without_a_length_is_read_no_further_than_allowed(
    strict: Server, photo: bytes
) -> None:
    before = strict.memory()
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (MIB, bytes(MIB))
    assert status(send(strict, head, *[chunk] * 1024)) == 413
    assert strict.memory() - before < ROOM
    assert serves(strict, photo)


def test_a_slow_body_ends_in_time_and_keeps_nobody_waiting(strict: Server, photo: bytes) -> None:
    answers: list[bytes] = []
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    slow = [
        threading.Thread(target=lambda: answers.append(send(strict, head, b"x"))) for _ in range(20)
    ]
    for thread in slow:
        thread.start()
    assert serves(strict, photo)
    for thread in slow:
        thread.join()
    assert [status(answer) for answer in answers] == 20 * [408]


def test_half_a_head_is_hung_up_on(server: Server, photo: bytes) -> None:
    begun = time.monotonic()
    assert send(server, b"POST / HTTP/1.1\r\nHost: loc") == b""
    assert time.monotonic() - begun > 5  # it was given some time
    assert serves(server, photo)


def test_who_hangs_up_in_the_middle_of_a_body_is_no_bug(server: Server, photo: bytes) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
    for path in (b"/", b"/v2/models/model/infer"):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head % path + b"half")
    assert serves(server, photo)
    deadline = time.monotonic() + 60
    while sum("408" in line for line in server.lines) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any("trace" in line for line in server.lines)


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET\r\n\r\n", bytes(70_000)]
)
def test_what_is_no_http_is_refused(server: Server, photo: bytes, rubbish: bytes) -> None:
    assert send(server, rubbish)[:12] in (b"HTTP/1.1 400", b"")
    assert serves(server, photo)


def test_a_thousand_open_connections_keep_nobody_out(server: Server, photo: bytes) -> None:
    before = server.memory()
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        assert serves(server, photo)
        assert server.memory() - before < ROOM


def bomb() -> bytes:
    """Return a small PNG of 20,000 x 8,000 pixels."""
    whole = encoded(draw("noise", 0, (8, 8)), "PNG")
    header = whole[8 + 8 : 8 + 8 + 13]
    row = bytes(1 + 3 * 20_000)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(8_000)) + packer.flush()

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content).to_bytes(4, "big")
        return len(content).to_bytes(4, "big") + name + content + check

    sizes = (20_000).to_bytes(4, "big") + (8_000).to_bytes(4, "big")
    return (
        whole[:8] + chunk(b"IHDR", sizes + header[8:]) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def test_bombs_and_noise_are_refused_within_bounds(server: Server, photo: bytes) -> None:
    before = server.memory("VmHWM")
    content = bomb()
    assert len(content) < MIB
    answer = server.post("/", content)
    assert answer.status_code == 400
    assert "20000x8000 is too large to decode" in answer.json()["error"]
    noise = np.random.default_rng(0).bytes(10_000_000)
    for junk in (noise, photo[:20] + noise, b"\x89PNG\r\n\x1a\n" + noise, b"BM" + noise):
        assert server.post("/", junk).status_code == 400
    nested = b'{"instances": ' + b"[" * 900_000 + b"]" * 900_000 + b"}"
    assert server.post("/v1/models/model:predict", nested).status_code == 400
    wide = b'{"instances": [' + b"[]," * 2_000_000 + b"[]]}"
    assert server.post("/v1/models/model:predict", wide).status_code == 413
    assert server.memory("VmHWM") - before < 2 * ROOM
    assert serves(server, photo)


def test_a_picture_above_the_limit_of_pixels_is_refused_unless_it_is_decoded_smaller(
    strict: Server,
) -> None:
    large = draw("disc", 0, (2500, 1800))
    assert strict.post("/", encoded(large, "JPEG")).status_code == 200
    answer = strict.post("/", encoded(large, "PNG", compress_level=1))
    assert answer.status_code in (400, 413)


def test_more_requests_than_may_wait_are_told_to_come_again(trained: Path, photo: bytes) -> None:
    large = encoded(draw("noise", 0, (1500, 1500)), "PNG", compress_level=1)

    async def many(server: Server) -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=300) as client:
            asked = [client.post(server.address, content=large) for _ in range(24)]
            return await asyncio.gather(*asked)

    with started(trained, "--max-requests", "2", "--no-corrections") as server:
        answers = asyncio.run(many(server))
        codes = {answer.status_code for answer in answers}
        assert codes == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.headers["retry-after"] == "1"
        assert "come again" in refused.json()["error"]
        assert serves(server, photo)


def test_a_guess_that_takes_too_long_is_told_so(trained: Path) -> None:
    large = encoded(draw("noise", 0, (1500, 1500)), "PNG", compress_level=1)
    with started(trained, "--timeout", "0.1", "--no-corrections") as server:
        files = [("picture", ("a.png", large))] * 4
        answer = server.post("/", files=files)
        assert (answer.status_code, list(answer.json())) in ((503, ["error"]), (408, ["error"]))


def test_a_compressed_body_is_refused(server: Server, photo: bytes) -> None:
    answer = server.post("/", photo, headers={"content-encoding": "gzip"})
    assert answer.status_code == 415


def test_strange_names_of_the_server_and_other_sites_pages_are_refused(
    server: Server, photo: bytes
) -> None:
    answer = server.post("/", photo, headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()) == (
        421,
        {
            "error": "This server is not known by that name. Whoever runs it can start it with "
            "--allow-host NAME."
        },
    )
    assert server.wait_for_status(421)["host"] == "evil.example"
    for origin in ("https://evil.example", "null"):
        answer = server.post("/", photo, headers={"origin": origin})
        assert (answer.status_code, list(answer.json())) == (403, ["error"])
    assert server.post("/", photo, headers={"origin": server.address}).status_code == 200
    assert "access-control-allow-origin" not in server.get("/").headers


def test_a_name_that_is_told_is_known(trained: Path, photo: bytes) -> None:
    with started(trained, "--allow-host", "pictures.example", "--no-corrections") as server:
        named = {"host": "pictures.example:8501"}
        assert server.post("/", photo, headers=named).status_code == 200
        assert server.get("/", headers={"host": "evil.example"}).status_code == 421


def test_a_token_is_needed_where_there_is_one(trained: Path, photo: bytes) -> None:
    with started(trained, RETRAIN_TOKEN="s3cret") as server:
        for path in ("/", "/docs", "/metrics", "/v1/models/model", "/v2/models/model"):
            answer = server.get(path)
            assert (answer.status_code, list(answer.json())) == (401, ["error"])
        assert server.post("/", photo).status_code == 401
        assert server.get("/v2/health/ready").status_code == 200
        bearer = {"authorization": "Bearer s3cret"}
        assert server.post("/", photo, headers=bearer).status_code == 200
        assert server.post("/", photo, headers={"authorization": "Bearer s3cre"}).status_code == 401
        with httpx.Client(base_url=server.address, follow_redirects=True) as browser:
            page = browser.get("/?token=s3cret")
            assert (page.status_code, page.url.query) == (200, b"")
            assert browser.get("/docs").status_code == 200
        assert not any("s3cret" in line for line in server.lines)


def test_the_log_has_a_line_of_json_for_each_request_and_no_query(
    server: Server, photo: bytes
) -> None:
    server.post("/v1/models/secret\x01:predict?q=private".replace("\x01", "%0A"), photo)
    deadline = time.monotonic() + 60
    while not any("secret" in line for line in server.lines) and time.monotonic() < deadline:
        time.sleep(0.02)
    (line,) = [line for line in server.lines if "secret" in line]
    told = json.loads(line)
    assert told["path"] == "/v1/models/secret\n:predict"
    assert (told["status"], told["level"], told["client"]) == (404, "info", "127.0.0.1")
    assert not any("private" in line for line in server.lines)
