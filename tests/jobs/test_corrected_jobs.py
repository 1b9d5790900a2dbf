"""Every job that reads the pictures of a workspace reads what people said of them."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from commands import QUICKEST, refused, retrain
from pictures import write_workspace
from retrain.config import TrainConfig
from retrain.data.corrections import COLUMNS, Correction, add_corrections
from retrain.data.images import PixelRules
from retrain.files import file_digest
from retrain.jobs.training_data import gather
from retrain.progress import Silent
from retrain.workspace import Workspace

RULES = PixelRules(64, "squash")


class Heard(Silent):
    """A Reporter that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.said.append(text)


def choose(root: Path, name: str, category: str) -> None:
    sha256 = file_digest(root / "data" / name)
    what = Correction(sha256, name, "other category" if category else "left out", category)
    add_corrections(root / "corrections.csv", [what])


def test_a_training_counts_pictures_as_they_were_corrected(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 4, ("disc", "stripes"))
    choose(root, "disc/disc-000.jpg", "stripes")
    choose(root, "disc/disc-001.jpg", "")
    heard = Heard()
    found = gather(Workspace(root), RULES, TrainConfig(), heard)
    assert Counter(p.category for p in found.pictures) == {"disc": 2, "stripes": 5}
    assert [p.name for p in found.corrected.left_out] == ["disc/disc-001.jpg"]
    assert heard.said[0].startswith("Corrections: 1 picture counts as another category and 1 ")


def test_lines_that_cannot_be_read_are_named_and_the_others_count(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 4, ("disc", "stripes"))
    choose(root, "disc/disc-000.jpg", "")
    with (root / "corrections.csv").open("a") as file:
        file.writelines(f"9f86d08...,{i}.jpg,left out,,2026\n" for i in range(5))
    heard = Heard()
    found = gather(Workspace(root), RULES, TrainConfig(), heard)
    assert len(found.corrected.left_out) == 1
    named = [
        f"corrections.csv line {line}: sha256 must be 64 hexadecimal digits. "
        "Received: '9f86d08...'. The line is left out."
        for line in (3, 4, 5)
    ]
    rest = "2 further lines of corrections.csv cannot be read and are left out."
    assert [line for line in heard.said if "read" in line or "line " in line] == [*named, rest]


def test_labels_of_a_table_are_corrected_as_well(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 2, ("disc", "stripes"))
    rows = [f"{c}/{c}-00{i}.jpg,{c}" for c in ("disc", "stripes") for i in (0, 1)]
    (root / "data" / "labels.csv").write_text("\n".join(["path,label", *rows]))
    choose(root, "disc/disc-000.jpg", "stripes")
    found = gather(Workspace(root), RULES, TrainConfig(), Silent())
    assert Counter(p.category for p in found.pictures) == {"disc": 1, "stripes": 3}


def test_what_looks_like_a_renamed_folder_is_said(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 4, ("disc", "stripes"))
    choose(root, "disc/disc-000.jpg", "stripes")
    (root / "data" / "stripes").rename(root / "data" / "bands")
    with (root / "corrections.csv").open("a") as file:
        file.write("nonsense,,,,\r\n")
    heard = Heard()
    gather(Workspace(root), RULES, TrainConfig(), heard)
    assert any("Category 'stripes' has no pictures but those" in text for text in heard.said)
    assert any(text.startswith("corrections.csv line 3: sha256 must ") for text in heard.said)


def test_another_table_in_their_place_stops_a_training(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 2, ("disc", "stripes"))
    (root / "corrections.csv").write_text("name,what\n")
    message = refused(retrain("train", root, *QUICKEST), 3)
    assert f"must begin with the columns {','.join(COLUMNS)}" in message
    assert "must begin with" in refused(retrain("show-batch", root), 3)


@pytest.fixture
def corrected(trained: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """The trained workspace, and two pictures of its test that were corrected since."""
    root = tmp_path / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    with (root / "model" / "split.csv").open(newline="") as file:
        held = [row["path"] for row in csv.DictReader(file) if row["side"] == "test"]
    for name, category in zip(held, ("stripes", ""), strict=False):
        choose(root, name, category)
    return root, held


def test_a_model_is_judged_by_the_corrected_categories(corrected: tuple[Path, list[str]]) -> None:
    root, held = corrected
    result = retrain("evaluate", root, "--side", "test", "--json")
    assert result.returncode == 0, result.stderr
    found = {one["name"]: one["category"] for one in json.loads(result.stdout)["predictions"]}
    assert held[0].startswith("disc/")
    assert found[held[0]] == "stripes"
    assert held[1] not in found
    assert found[held[2]] == held[2].split("/")[0]
