"""What all tests share: a quiet TensorFlow without a GPU, and one small trained model."""

import os
import signal
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from commands import QUICK, ROOT, retrain
from pictures import write_workspace

# Who is started in the background of a script ignores Ctrl-C, and so would all commands of tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


class OneProcessAFile(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of a file share fixtures, and those of the container an image: each in one process.

    `--dist loadgroup` would do it by marks, but pytest-xdist 3.8 has no effect on pytest 9.2 there.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = Path(nodeid.split("::")[0])
        return str(path.parent if path.parent.name == "docker" else path)


# Tests with one of these train a model or run in a container, and so does all of this folder.
SLOW_FIXTURES = {"trained", "trainings", "engine"}
SLOW_FOLDER = "end_to_end"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what follows from fixtures and folders; the rest is marked by hand."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if SLOW_FIXTURES.intersection(fixtures) or item.path.parent.name == SLOW_FOLDER:
            item.add_marker(pytest.mark.slow)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneProcessAFile:
    return OneProcessAFile(config, log)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a published model of three obvious categories. Do not change it.

    A fifth of its pictures is held out for the test.
    """
    root = write_workspace(tmp_path_factory.mktemp("trained") / "tf files é", each=24)
    result = retrain("train", root, *QUICK, "--int8", "--hold-out", "0.2")
    assert result.returncode == 0, result.stderr
    return root


@pytest.fixture
def old_workspace(tmp_path: Path) -> Path:
    """A workspace that version 0.1 trained; see tests/fixtures/README.md."""
    with tarfile.open(ROOT / "tests" / "fixtures" / "workspace-0.1.tar.xz") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(tmp_path)
    return tmp_path / "tf_files"
