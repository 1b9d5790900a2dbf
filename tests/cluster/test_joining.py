"""Addresses of clusters that cannot be joined: one line, and soon."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from commands import environment, refused, retrain
from pictures import write_workspace
from servers import serving

pytest.importorskip("ray")


def sort(folder: Path, address: str, **changes: str) -> object:
    (folder / "photos").mkdir(exist_ok=True)
    line = ("guess-dir", folder, folder / "photos", folder / "sorted", "--cluster", address)
    return retrain(*line, cwd=None, answer=None, under=(), **changes)


@pytest.mark.parametrize("address", ["host:port", ":6379", "host:99999", ""])
def test_what_is_no_address_is_refused(old_workspace: Path, address: str) -> None:
    assert "HOST:PORT of its head, or local" in refused(sort(old_workspace, address), 2)


def test_an_address_that_does_not_answer_is_named(old_workspace: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        message = refused(sort(old_workspace, address), 8)
    assert f"The cluster at {address} must answer within 10 seconds" in message
    port = address.partition(":")[2]
    assert message.endswith(f"with `ray start --head --port={port}`. See --cluster.")


@pytest.mark.parametrize("address", ["no-such.invalid", "no-such.invalid:6379", "a" * 64])
def test_a_name_that_no_machine_has_is_told(address: str) -> None:
    name = address.partition(":")[0]
    assert refused(retrain("cluster", "doctor", address), 8) == (
        f"retrain: No machine is called {name!r}. Give HOST:PORT, such as 192.168.1.10:6379."
    )


def test_what_answers_must_be_ray(old_workspace: Path) -> None:
    with serving() as server:
        address = server.url.removeprefix("http://")
        message = refused(sort(old_workspace, address), 8)
    assert f"The cluster {address} must take this machine in" in message
    assert message.endswith(f": `ray start --address={address}` makes it one. See --cluster.")


def test_without_ray_the_command_that_installs_it_is_said(
    old_workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['ray'] = None\n")
    path = f"{tmp_path}:{environment()['PYTHONPATH']}"
    message = refused(sort(old_workspace, "local", PYTHONPATH=path), 2)
    assert "pip install 'retrain[cluster]'" in message


LISTENING = """
import os, re
from pathlib import Path
from retrain.cluster.connect import joined

def listening():
    sockets = {}
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                sockets[f"socket:[{fields[9]}]"] = fields[1].split(":")[0]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) == os.getsid(0):
                for file in (process / "fd").iterdir():
                    if (place := sockets.get(os.readlink(file))):
                        yield place
        except OSError:
            pass

with joined("local"):
    print(*listening())
"""


def test_a_cluster_of_this_machine_listens_on_loopback_alone() -> None:
    line = [sys.executable, "-c", LISTENING]
    result = subprocess.run(
        line, env=environment(), start_new_session=True, capture_output=True, text=True, check=True
    )
    places = result.stdout.split()
    assert len(places) > 3
    assert set(places) <= {"0100007F", f"{'0' * 16}FFFF00000100007F"}


def test_the_doctor_looks_at_each_node(tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf files é", each=2)
    result = retrain("cluster", "doctor", "local", root, "--json")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["works"]
    said = [finding["text"] for finding in found["findings"]]
    assert "has the versions of this machine" in said
    assert "sees the pictures at their paths (6 compared)" in said
