"""A training step shared by several devices is that of one; on logical devices of the CPU."""

import json
import subprocess
import sys

import numpy as np
import pytest

from commands import ROOT, environment

pytestmark = pytest.mark.slow


def losses(precision: str, devices: int, groups: int, clip: float) -> np.ndarray:
    """Return the losses of some steps, [2, steps]: on one device, and on several."""
    script = ROOT / "tests" / "training" / "two_devices.py"
    line = [sys.executable, str(script), precision, str(devices), str(groups), str(clip)]
    path = f"{ROOT / 'src'}:{ROOT / 'tests'}"
    result = subprocess.run(
        line, capture_output=True, text=True, env=environment(PYTHONPATH=path), check=False
    )
    assert result.returncode == 0, result.stderr
    return np.array(json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("precision", "devices", "groups", "clip", "within"),
    [
        ("float32", 2, 5, 0.05, 1e-5),  # clipped
        ("float32", 3, 3, 100.0, 1e-5),  # by shares of unequal size, above frozen layers
        ("scaled", 2, 5, 0.05, 1e-5),
        ("mixed_float16", 2, 5, 0.05, 3e-3),  # whose sums are rounded otherwise
    ],
)
def test_the_losses_are_those_of_one_device(
    precision: str, devices: int, groups: int, clip: float, within: float
) -> None:
    alone, together = losses(precision, devices, groups, clip)
    assert np.ptp(alone) > 0.01
    np.testing.assert_allclose(together, alone, atol=within)
