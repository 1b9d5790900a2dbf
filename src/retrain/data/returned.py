"""Pictures that came back from guesses, in `corrections/<category>/`, as people named them."""

import os
from dataclasses import replace
from pathlib import Path

from retrain.data.records import Dataset, Example, category_name
from retrain.data.sources import visible_files


def returned_pictures(folder: Path, data: Path) -> list[Example]:
    """Find the pictures that came back, in the order of their names.

    Args:
        folder: that holds one folder for each category; it need not be there.
        data: the folder from which names of pictures start.
    """
    found = [
        Example(path, os.path.relpath(path, data), category_name(path.relative_to(folder).parts[0]))
        for path in (visible_files(folder) if folder.is_dir() else ())
        if path.parent != folder
    ]
    return sorted(found, key=lambda example: example.name)


def with_returned(dataset: Dataset, returned: list[Example]) -> Dataset:
    """Return a dataset that has these pictures, too."""
    examples = sorted((*dataset.examples, *returned), key=lambda example: example.name)
    return replace(dataset, examples=tuple(examples))
