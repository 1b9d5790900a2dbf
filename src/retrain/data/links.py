"""Links that lead nowhere, which is most often a container that does not see their target."""

import os
from pathlib import Path


def broken_link(path: Path) -> str | None:
    """Return what is wrong with a link whose target is not there; None for anything else."""
    if not os.path.islink(path) or os.path.exists(path):  # noqa: PTH110, PTH114 - never raise
        return None
    hint = ""
    if "RETRAIN_ENGINE" in os.environ:  # docker/run.sh sets it in the container
        hint = " in the container; name its folder in RETRAIN_MOUNT"
    return f"a link to {path.readlink()}, which is not there{hint}"
