"""Pictures that a person says show something else: kept for the next training."""

import hashlib
import os
import shutil
from pathlib import Path

from retrain.files import atomic_writer
from retrain.serve.refusals import Refused
from retrain.workspace import Workspace

LEAST_FREE = 1 << 30  # bytes that stay free on the disk


class Corrections:
    """The folder `corrections/<category>/` of a workspace."""

    def __init__(self, root: Path) -> None:
        """Take the workspace at `root`; nothing is made yet."""
        self._folder = Workspace(root.absolute()).returned

    def is_possible(self) -> bool:
        """Tell whether there is a workspace that can be written to, not a bundle by itself."""
        root = self._folder.parent
        return (root / "runs").is_dir() and os.access(root, os.W_OK)

    def keep(self, content: bytes, extension: str, category: str) -> Path:
        """Write a picture to the folder of its category; the same one again changes nothing.

        Args:
            content: the whole file, which decodes.
            extension: of its format, such as ".jpg".
            category: what the picture shows.

        Raises:
            Refused: the category can have no folder (409), or the disk is nearly full (507).
        """
        if Path(category).name != category or category.startswith("."):
            raise Refused(409, f"A category called {category!r} can have no folder.")
        folder = self._folder / category
        path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}{extension}"
        if not path.exists():
            if shutil.disk_usage(self._folder.parent).free < LEAST_FREE + len(content):
                raise Refused(507, "The disk is nearly full; the picture was not kept.")
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_writer(path) as part:
                part.write_bytes(content)
        return path
