"""Pictures that came back from guesses are offered to a training, and taken where it says so."""

from dataclasses import replace
from pathlib import Path

from pictures import write_jpegs, write_workspace
from retrain.config import TrainConfig
from retrain.data.images import PixelRules
from retrain.jobs.training_data import gather
from retrain.progress import Silent
from retrain.workspace import Workspace


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def learned(root: Path, returned: bool) -> tuple[list[tuple[str, str]], list[str]]:
    """Return names and categories of what a training would learn from, and what it says."""
    report = Heard()
    config = replace(TrainConfig(), returned=returned)
    found = gather(Workspace(root), PixelRules(32, "squash"), config, report)
    return [(p.name, p.category) for p in found.pictures], report.said


def test_they_are_offered_and_taken_only_on_demand(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, each=2)
    before, said = learned(root, returned=True)
    nowhere = f"There are no returned pictures in {root / 'corrections'}"
    assert (len(before), said) == (6, [f"{nowhere}; --returned changes nothing."])
    write_jpegs(root / "corrections", "stripes", 2, start=50)
    (root / "corrections" / "notes.txt").write_text("loose files are nobody's")
    found, said = learned(root, returned=False)
    assert found == before
    assert any("2 pictures" in line and "--returned" in line for line in said)
    found, said = learned(root, returned=True)
    assert ("../corrections/stripes/stripes-050.jpg", "stripes") in found
    assert len(found) == 8
    assert any("will be learned from" in line for line in said)
