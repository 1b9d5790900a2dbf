"""`retrain doctor` says whether the main job would work, and what stands in the way."""

import json
from pathlib import Path

import pytest

from commands import retrain

pytestmark = pytest.mark.slow  # doctor trains


def test_a_missing_workspace_and_an_unseen_gpu_are_found_and_the_rest_is_tried(
    tmp_path: Path,
) -> None:
    result = retrain("doctor", tmp_path / "gone", "--json", RETRAIN_HOST_GPUS="NVIDIA X\n")
    assert result.returncode == 8
    assert "The main job would not work here: pictures; see above." in result.stderr
    report = json.loads(result.stdout)
    assert report["works"] is False
    found = {finding["name"]: finding for finding in report["findings"]}
    assert str(tmp_path / "gone") in found["pictures"]["text"]
    assert found["GPUs"] == {
        "name": "GPUs",
        "state": "note",
        "text": "this machine shows 1 (NVIDIA X), but TensorFlow sees none",
    }
    assert "RETRAIN_GPUS=all" in found["CUDA"]["text"]
    assert "efficientnet_lite0" in found["weights"]["text"]
    assert [found[name]["state"] for name in ("training", "a guess")] == ["ok", "ok"]
    assert list(tmp_path.iterdir()) == []
