"""Links that lead nowhere, which is most often a container that does not see their target."""

import os
from pathlib import Path

_BEGIN, _END = "a link to ", ", which is not there"


def broken_link(path: Path) -> str | None:
    """Return what is wrong with a link whose target is not there; None for anything else."""
    if not os.path.islink(path) or os.path.exists(path):  # noqa: PTH110, PTH114 - never raise
        return None
    return f"{_BEGIN}{path.readlink()}{_END}"


def is_broken_link(reason: str) -> bool:
    """Tell whether a reason is, or contains, what `broken_link` returns.

    >>> is_broken_link("Received: a link to /disk, which is not there."), is_broken_link("empty")
    (True, False)
    """
    return _BEGIN in reason and _END in reason
