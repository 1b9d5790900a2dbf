"""What all tests share: a quiet TensorFlow without a GPU, and one small trained model."""

import os
from pathlib import Path

import pytest

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from commands import QUICK, retrain
from pictures import write_workspace


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a published model of three obvious categories. Do not change it."""
    root = write_workspace(tmp_path_factory.mktemp("trained") / "tf files é", each=24)
    result = retrain("train", root, *QUICK, "--int8")
    assert result.returncode == 0, result.stderr
    return root
