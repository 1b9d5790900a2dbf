"""How a service begins, takes over new models, and ends."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from commands import GUESS_FILES, refused, retrain
from serving import Server, started


@pytest.fixture
def own(trained: Path, tmp_path: Path) -> Path:
    """A copy of the workspace with two runs, the first of which is published."""
    run = (trained / "model").resolve()
    root = tmp_path / "tf_files"
    for name in (run.name, "20991231T235959Z-later"):
        folder = root / "runs" / name
        folder.mkdir(parents=True)
        for file in ("manifest.json", *GUESS_FILES):
            if (run / file).exists():
                shutil.copy(run / file, folder)
    later = root / "runs" / "20991231T235959Z-later" / "manifest.json"
    values = json.loads(later.read_text())
    later.write_text(json.dumps({**values, "run": later.parent.name, "created": ""}))
    publish(root, run.name)
    return root


def publish(root: Path, name: str) -> None:
    (root / ".fresh").symlink_to(Path("runs") / name)
    (root / ".fresh").replace(root / "model")


@contextmanager
def under_load(server: Server, photo: bytes) -> Iterator[list[int]]:
    """Ask all the time, from several clients; give the statuses that came."""
    codes: list[int] = []
    done = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=server.address, timeout=300) as client:
            while not done.is_set():
                try:
                    codes.append(client.post("/", content=photo).status_code)
                except httpx.HTTPError:
                    codes.append(0)

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        yield codes
    finally:
        done.set()
        for client in clients:
            client.join()


def version(server: Server) -> str:
    return str(server.get("/v2/models/model").json()["versions"][0])


def test_a_new_model_is_taken_over_without_a_lost_request(own: Path, photo: bytes) -> None:
    with started(own) as server:
        first = version(server)
        with under_load(server, photo) as codes:
            publish(own, "20991231T235959Z-later")
            told = server.wait_for("model taken over")
            before = len(codes)
            while len(codes) < before + 8:
                time.sleep(0.01)
        assert told["run"] == "20991231T235959Z-later"
        assert set(codes) == {200}
        assert version(server) == "20991231235959" > first
        assert server.get(f"/v1/models/model/versions/{first}").status_code == 404
        assert "retrain_models_taken_over_total 1" in server.get("/metrics").text
        shutil.rmtree(own / "runs" / told["before"])  # nothing of the old one is needed any more
        assert server.post("/", photo).status_code == 200


@pytest.mark.parametrize("broken", ["truncated", "other categories", "no manifest", "gone"])
def test_a_broken_model_is_refused_and_the_old_one_stays(
    own: Path, photo: bytes, broken: str
) -> None:
    later = own / "runs" / "20991231T235959Z-later"
    manifest = later / "manifest.json"
    if broken == "truncated":
        for name in ("model.tflite", "model.int8.tflite"):
            if (later / name).exists():
                (later / name).write_bytes((later / name).read_bytes()[:1000])
    elif broken == "other categories":
        values = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**values, "labels": ["a", "b"], "cascade": None}))
    elif broken == "no manifest":
        manifest.write_text("{")
    else:
        shutil.rmtree(later)
    with started(own) as server:
        first = version(server)
        publish(own, later.name)
        told = server.wait_for("model refused")
        assert told["reason"]
        assert version(server) == first
        assert server.post("/", photo).status_code == 200
        time.sleep(2.5)
        assert len(server.events("model refused")) == 1  # not again and again
        assert "retrain_models_refused_total 1" in server.get("/metrics").text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_it_loses_no_request(trained: Path, photos: list[bytes], number: int) -> None:
    with started(trained) as server:
        answers: list[httpx.Response] = []
        files = [("picture", (f"{i}.jpg", photos[i % len(photos)])) for i in range(200)]
        asking = threading.Thread(target=lambda: answers.append(server.post("/", files=files)))
        asking.start()
        deadline = time.monotonic() + 60
        while "retrain_requests_busy 1" not in server.get("/metrics").text:
            assert time.monotonic() < deadline
        assert server.stop(number) == 0
        asking.join()
        assert len(answers[0].json()) == 200
        assert server.events("stopped")


def test_after_a_crash_it_starts_again(trained: Path, photo: bytes) -> None:
    with started(trained) as server:
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        port = server.port
    with started(trained, "--port", str(port)) as server:
        assert server.post("/", photo).status_code == 200


def test_workers_share_port_and_counters_and_are_replaced(trained: Path, photo: bytes) -> None:
    with started(trained, "--workers", "2") as server:
        server.wait_for("ready", 2)
        for _ in range(10):
            assert server.post("/", photo).status_code == 200
        line = 'retrain_requests_total{protocol="huggingface",status="200"} 10'
        assert {line in server.get("/metrics").text for _ in range(6)} == {True}
        os.kill(server.events("ready")[0]["process"], signal.SIGKILL)
        server.wait_for("ready", 3)
        for _ in range(10):
            assert server.post("/", photo).status_code == 200
        assert server.stop() == 0


def test_no_tensorflow_is_loaded(trained: Path, photo: bytes) -> None:
    with started(trained) as server:
        for path in ("/", "/page/guess", "/page/heat?category=disc"):
            assert server.post(path, photo).status_code == 200
        maps = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert "ai_edge_litert" in maps
        for heavy in ("libtensorflow", "matplotlib", "h5py"):
            assert heavy not in maps


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nowhere",), 5, "There is no model in"),
        (("{root}", "--port", "70000"), 2, "70000"),
        (("{root}", "--host", "no such host"), 2, "See --host"),
        (("{root}", "--name", "a/b"), 2, "See --name"),
        (("{root}/model/", "--corrections"), 2, "See --corrections"),
    ],
)
def test_what_cannot_be_served_is_one_line(
    trained: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    line = [argument.replace("{root}", str(trained)) for argument in arguments]
    assert said in refused(retrain("serve", *line), code)
