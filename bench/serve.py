"""Measure `retrain serve` against TensorFlow's SavedModel behind the same kind of route.

    python bench/serve.py TF_FILES [--seconds 10] [--requests 20000]

All on the loopback of this machine, clients included, which take their share of its cores:
requests a second, waiting times and the server's CPU time for each answer, with 1, 16 and 200
clients that send one JPEG of 275 x 183; memory before and after many requests; the plain loop
`guess_all` on the same pictures; the start from nothing; new models published under load; and a
restart after SIGKILL. On a busy machine the CPU time counts.
"""

import argparse
import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from retrain.data.sources import visible_files

PATIENCE = 300.0
CLIENTS = (1, 16, 200)
PEER = """
import sys
import tensorflow as tf
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

guess = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]

def answer(content):
    found = guess(image_bytes=tf.constant([content]))
    classes, scores = found["classes"][0].numpy().tolist(), found["scores"][0].numpy().tolist()
    return [{"label": c.decode(), "score": s} for c, s in zip(classes, scores)]

async def route(request):
    return JSONResponse(await run_in_threadpool(answer, await request.body()))

app = Starlette(routes=[Route("/", route, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
"""
LOOP = """
import sys, time
from pathlib import Path
from retrain import load
model, content, count = load(sys.argv[1]), Path(sys.argv[2]).read_bytes(), int(sys.argv[3])
list(model.guess_all([content] * 50))
begun, computed = time.perf_counter(), time.process_time()
assert sum(1 for _ in model.guess_all([content] * count)) == count
seconds, computed = time.perf_counter() - begun, time.process_time() - computed
print(f"{count / seconds:12.1f}{'':20}{1000 * computed / count:10.2f}")
"""


@dataclass
class Load:
    """What some clients saw.

    waits: seconds of each answer. failures: other answers than 200. cpu: seconds that the server
    computed meanwhile, on all cores together.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    waits: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.waits) / self.seconds

    def line(self) -> str:
        """Return rate and waiting times, for a table."""
        middle, late = np.percentile(self.waits, [50, 99]) * 1000
        each = 1000 * self.cpu / len(self.waits)
        return f"{self.rate:12.1f}{middle:10.1f}{late:10.1f}{each:10.2f}{self.failures:10d}"


async def ask(port: int, content: bytes, load: Load, end: float, most: int) -> None:
    """Be one client, on one connection as long as it lasts."""
    head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    reader = writer = None
    while time.perf_counter() < end and len(load.waits) < most:
        begun = time.perf_counter()
        try:
            if writer is None or reader is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + content)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            good = answer.startswith(b"HTTP/1.1 200 ")
        except (OSError, EOFError):
            good = False
        if good:
            load.waits.append(time.perf_counter() - begun)
        else:
            load.failures += 1
            reader = writer = None
    if writer is not None:
        writer.close()


def under_load(
    port: int, content: bytes, clients: int, seconds: float, most: int = sys.maxsize
) -> Load:
    """Ask with several clients at a time, for some seconds or until there are enough answers."""
    load = Load()

    async def together() -> None:
        begun = time.perf_counter()
        each = (ask(port, content, load, begun + seconds, most) for _ in range(clients))
        await asyncio.gather(*each)
        load.seconds = time.perf_counter() - begun

    asyncio.run(together())
    return load


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])


@contextmanager
def running(command: list[str], port: int) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """Run a server; give the process, and the seconds until it accepted a connection."""
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None and time.perf_counter() < begun + PATIENCE:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.005)
            else:
                raise SystemExit(f"{command} did not start")
            yield process, time.perf_counter() - begun
        finally:
            process.kill()


def ours(root: Path, port: int) -> list[str]:
    """Return the command line of our server."""
    quiet = ("--no-log-requests", "--no-corrections")
    return [sys.executable, "-m", "retrain", "serve", str(root), "--port", str(port), *quiet]


def memory(process: subprocess.Popen[bytes]) -> float:
    """Return the resident set of a process in MB."""
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Return the seconds that a process has computed, on all cores together."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def picture(root: Path) -> bytes:
    """Return the first picture of the data as a JPEG of 275 x 183."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        with Image.open(next(visible_files(root / "data"))) as image:
            image.convert("RGB").resize((275, 183)).save(file.name, quality=90)
        return Path(file.name).read_bytes()


def compare(root: Path, content: bytes, seconds: float, requests: int) -> None:
    """Print rates, waiting times and memory of both servers."""
    print(f"{'':<34}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms':>10}{'failed':>10}")
    for name in ("retrain serve", "SavedModel in TensorFlow"):
        port = free_port()
        peer = [sys.executable, "-c", PEER, str(root / "model" / "saved_model"), str(port)]
        command = ours(root, port) if name == "retrain serve" else peer
        with running(command, port) as (process, start):
            under_load(port, content, 4, 2.0)  # warm
            before = memory(process)
            for clients in CLIENTS:
                begun = cpu(process)
                found = under_load(port, content, clients, seconds)
                found.cpu = cpu(process) - begun
                print(f"{f'{name}, {clients} clients':<34}{found.line()}")
            if name == "retrain serve":
                under_load(port, content, 16, PATIENCE * 2, requests)
            print(
                f"{name}: {before:.0f} MB warm, {memory(process):.0f} MB at the end; accepts "
                f"connections {start:.2f} s after its start"
            )


def replace_and_crash(root: Path, content: bytes) -> None:
    """Publish models under load, then kill the server and start it again."""
    with tempfile.TemporaryDirectory() as name:
        own = Path(name)
        for run in ("20200101T000000Z-one", "20200101T000000Z-two"):
            shutil.copytree((root / "model").resolve(), own / "runs" / run)

        def publish(run: str) -> None:
            (own / ".fresh").symlink_to(Path("runs") / run)
            (own / ".fresh").replace(own / "model")

        publish("20200101T000000Z-one")
        port = free_port()
        with running(ours(own, port), port) as (process, _):
            pid = os.fork()
            if pid == 0:  # publishes meanwhile
                for turn in range(5):
                    time.sleep(2)
                    publish(f"20200101T000000Z-{'two' if turn % 2 == 0 else 'one'}")
                os._exit(0)
            found = under_load(port, content, 16, 12.0)
            os.waitpid(pid, 0)
            print(
                f"5 models published under load: {len(found.waits)} answers, {found.failures} lost"
            )
            process.send_signal(signal.SIGKILL)
            process.wait()
        begun = time.perf_counter()
        with running(ours(own, port), port):
            assert not under_load(port, content, 1, PATIENCE, 1).failures
            print(
                f"after SIGKILL: first answer {time.perf_counter() - begun:.2f} s after the start"
            )


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tf_files", type=Path, help="a workspace with a trained model")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--requests", type=int, default=20_000, help="for the memory")
    args = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    content = picture(args.tf_files)
    compare(args.tf_files, content, args.seconds, args.requests)
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        Path(file.name).write_bytes(content)
        line = [sys.executable, "-c", LOOP, str(args.tf_files), file.name, "1000"]
        told = subprocess.run(line, capture_output=True, check=True, text=True).stdout.rstrip()
        print(f"{'guess_all, the plain loop':<34}{told}")
    replace_and_crash(args.tf_files, content)


if __name__ == "__main__":
    main()
