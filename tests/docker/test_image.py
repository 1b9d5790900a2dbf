"""The image itself: what is in it, what is not, and that it needs none of the wrappers."""

import json
import os
import re
from pathlib import Path

import pytest

from commands import QUICK, refused
from containers import IMAGE, Project, Result, docker, inspect
from pictures import write_workspace

LOOK = """
import importlib.util, json, os, shutil
print(json.dumps({
    "compilers": [name for name in ("cc", "gcc", "g++", "ld", "as", "make") if shutil.which(name)],
    "caches": [place for place in ("/root/.cache", "/var/lib/apt/lists/partial", "/src", "/weights")
               if os.path.exists(place)],
    "secrets": os.listdir("/run/secrets") if os.path.exists("/run/secrets") else [],
    "pip": importlib.util.find_spec("pip") is not None,
    "temporary": os.listdir("/tmp"),
}))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace that everybody may write to."""
    root = write_workspace(tmp_path / "tf_files", each=6, categories=("disc", "stripes"))
    root.chmod(0o777)
    return root


def train(root: Path, *options: str) -> Result:
    """Train by the engine's command alone; as the image's own user if root may tidy up after it."""
    user = () if os.geteuid() == 0 else ("--user", f"{os.getuid()}:{os.getgid()}")
    confined = ("--network", "none", "--read-only", "--tmpfs", "/tmp", *user)
    place = ("--volume", f"{root}:{root}")
    return docker("run", "--rm", *confined, *place, IMAGE, "train", root, *options)


def test_it_trains_alone_and_without_a_network(project: Project, root: Path) -> None:
    result = train(root, *QUICK)
    assert result.returncode == 0, result.stderr
    assert (root / "model" / "model.tflite").is_file()


def test_weights_that_it_does_not_bring_are_named_and_those_that_it_does(
    project: Project, root: Path
) -> None:
    message = refused(train(root, *QUICK, "--backbone", "resnet50"), 4)
    assert "(no network)" in message
    assert "Ready here: efficientnet_lite0, efficientnet_lite2." in message


def test_it_runs_as_nobody_and_holds_nothing_that_only_building_needed(project: Project) -> None:
    assert inspect(IMAGE)["Config"]["User"] == "65534:65534"
    look = ("--user", "0", "--network", "none", "--entrypoint", "python", IMAGE, "-c", LOOK)
    result = docker("run", "--rm", *look)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "compilers": [],
        "caches": [],
        "secrets": [],
        "pip": False,
        "temporary": [],
    }


def test_its_history_tells_nothing_of_how_packages_were_fetched(project: Project) -> None:
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", IMAGE)
    assert history.returncode == 0, history.stderr
    told = history.stdout + json.dumps(inspect(IMAGE)["Config"])
    assert not re.search(r"\bPIP_", told)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_PROXY", "PIP_CERT"):
        assert not os.environ.get(name) or os.environ[name] not in told
