"""Starting and ending a server, in processes of their own."""

import asyncio
import os
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from commands import environment
from retrain.errors import MachineError, UsageError
from retrain.web import server as web


def test_a_taken_port_and_a_strange_address_are_told() -> None:
    with web.listening(web.LOOPBACK, 0) as server:
        port = server.getsockname()[1]
        with pytest.raises(MachineError, match=rf"{port}.*in use"):
            web.listening(web.LOOPBACK, port)
    with pytest.raises(UsageError, match="address of this machine"):
        web.listening("no such host", 0)
    with pytest.raises(UsageError, match="from 0 to 65535"):
        web.listening(web.LOOPBACK, 70_000)


def test_the_address_is_one_that_a_browser_can_open() -> None:
    with web.listening("0.0.0.0", 0) as server:
        port = server.getsockname()[1]
        assert web.address_of(server, "abc") == f"http://127.0.0.1:{port}/?token=abc"
        assert web.address_of(server, host="my-machine") == f"http://my-machine:{port}/"
    if socket.has_ipv6:
        with web.listening("::1", 0) as server:
            assert web.address_of(server) == f"http://[::1]:{server.getsockname()[1]}/"


SERVER = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from retrain.web import server as web
from retrain.cli import interrupts

async def slow(request):
    print("asked", flush=True)
    await asyncio.sleep(1)
    return PlainTextResponse("finished")

interrupts.listen()
server = web.listening(web.LOOPBACK, 0)
web.run(Starlette(routes=[Route("/", slow)]), server,
        ready=lambda: print(web.address_of(server), flush=True))
print("ended")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_asked_to_stop_finishes_its_answers(number: int) -> None:
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()

        async def answer() -> str:
            async with httpx.AsyncClient(timeout=60) as client:
                asking = asyncio.ensure_future(client.get(address))
                await asyncio.to_thread(process.stdout.readline)  # type: ignore[union-attr]
                os.kill(process.pid, number)
                return (await asking).text

        assert asyncio.run(answer()) == "finished"
        assert process.stdout.read() == "ended\n"
        assert process.wait() == 0
