"""What pictures are brought from: it must be there, be readable, and lie outside the data."""

import os
from collections.abc import Sequence
from pathlib import Path

from retrain.data.links import broken_link
from retrain.errors import DataError, MachineError, UsageError


def check_sources(sources: Sequence[Path], data: Path) -> None:
    """Look at all sources before any of them is read.

    Args:
        sources: folders and files.
        data: where pictures are brought to.

    Raises:
        DataError: a source is not there. MachineError: it cannot be read.
        UsageError: it lies in the data.
    """
    for source in sources:
        if link := broken_link(source):
            raise DataError(f"{source} is {link}.")
        try:
            source.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise DataError(
                f"There is no {source}. Name a folder, an archive, a table or a JSON file that "
                "exists."
            ) from None
        except PermissionError:
            raise _no_permission(source) from None
        except OSError as error:
            raise MachineError(f"{source} cannot be read: {error.strerror}.") from error
        if not os.access(source, os.R_OK | (os.X_OK if source.is_dir() else 0)):
            raise _no_permission(source)
        if source.resolve().is_relative_to(data.resolve()):
            raise UsageError(f"What is imported must lie elsewhere. Received: {source}.")


def _no_permission(source: Path) -> MachineError:
    return MachineError(f"No permission to read {source}.")
