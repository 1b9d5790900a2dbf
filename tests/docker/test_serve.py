"""The image that only serves: small, confined, quickly there, and the model is mounted."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import ROOT
from containers import PATIENCE, docker, inspect

SERVE = "retrain:serve"
MOST_BYTES = 350e6
ASK = """
import json, sys, urllib.request as u
request = u.Request("http://127.0.0.1:8501/", data=sys.stdin.buffer.read(), method="POST")
print(u.urlopen(request, timeout=60).read().decode())
"""


@pytest.fixture(scope="module")
def image(engine: None) -> str:
    """The image, built as its Dockerfile says."""
    arguments = ["--build-arg", "VARIANT=serve"]
    if base := os.environ.get("RETRAIN_BASE_IMAGE"):
        arguments += ["--build-arg", f"BASE_IMAGE={base}"]
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_PROXY"):
        if value := os.environ.get(name):
            arguments += ["--build-arg", f"{name}={value}"]
    if certificate := os.environ.get("PIP_CERT"):
        arguments += ["--secret", f"id=ca,src={certificate}"]
    line = ["docker", "build", "--file", "docker/Dockerfile", "--tag", SERVE, *arguments]
    built = subprocess.run(
        [*line, *os.environ.get("RETRAIN_BUILD_OPTIONS", "").split(), "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        check=False,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    return SERVE


@pytest.fixture(scope="module")
def container(image: str, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A container without network and rights that serves a bundle."""
    confined = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
    place = f"type=bind,source={(trained / 'model').resolve()},target=/model,readonly"
    started = docker("run", "--detach", *confined, "--mount", place, image)
    assert started.returncode == 0, started.stderr
    name = started.stdout.strip()
    yield name
    docker("rm", "--force", name)


def lines(name: str) -> list[dict[str, object]]:
    found = docker("logs", name).stderr.splitlines()
    return [json.loads(line) for line in found if line.startswith("{")]


def test_it_is_small_and_runs_as_nobody(image: str) -> None:
    assert inspect(image)["Size"] < MOST_BYTES
    assert inspect(image)["Config"]["User"] == "65534:65534"
    look = "import importlib.util as u; print([n for n in ('tensorflow', 'pip') if u.find_spec(n)])"
    result = docker("run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", look)
    assert result.stdout == "[]\n", result.stderr


def test_it_serves_and_is_healthy(container: str, trained: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while inspect(container)["State"]["Health"]["Status"] != "healthy":
        assert time.monotonic() < deadline, docker("logs", container).stderr
        time.sleep(0.2)
    photo = (trained / "data" / "disc" / "disc-000.jpg").read_bytes()
    line = ["docker", "exec", "--interactive", container, "python", "-c", ASK]
    result = subprocess.run(line, input=photo, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)[0]["label"] == "disc"
    assert lines(container)[0]["event"] == "ready"


def test_it_stops_when_it_is_asked_to(container: str) -> None:
    stopped = docker("stop", "--time", "60", container)
    assert stopped.returncode == 0, stopped.stderr
    assert inspect(container)["State"]["ExitCode"] == 0
    assert lines(container)[-1]["event"] == "stopped"
