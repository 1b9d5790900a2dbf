"""Folders to sort."""

import shutil
from pathlib import Path

import pytest

from pictures import CATEGORIES, draw, write_jpegs
from sorting import NEW


@pytest.fixture
def src(tmp_path: Path) -> Path:
    """A folder with one picture of each category."""
    folder = tmp_path / "src"
    folder.mkdir()
    for category in CATEGORIES:
        draw(category, NEW).save(folder / f"{category}.jpg")
    return folder


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "dest"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A folder with enough pictures to come in between; few differ, so names collide."""
    folder = tmp_path / "many"
    paths = [path for category in CATEGORIES for path in write_jpegs(tmp_path, category, 4, NEW)]
    folder.mkdir()
    for i in range(240):
        shutil.copy2(paths[i % len(paths)], folder / f"{i:03d}.jpg")
    return folder
