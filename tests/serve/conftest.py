"""One server for all tests that only ask it, and what they ask it with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrain.infer.model import Model
from retrain.workspace import open_run
from serving import Server, started


@pytest.fixture(scope="module")
def server(trained: Path) -> Iterator[Server]:
    with started(trained, "--no-corrections") as running:
        yield running


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    """The same model, opened here, for the truth."""
    return Model(open_run(trained))


@pytest.fixture(scope="module")
def photo(trained: Path) -> bytes:
    return (trained / "data" / "disc" / "disc-000.jpg").read_bytes()


@pytest.fixture(scope="module")
def photos(trained: Path) -> list[bytes]:
    """Pictures of all categories."""
    return [path.read_bytes() for path in sorted((trained / "data").glob("*/*-00[0-2].jpg"))]
