"""`retrain show-data`: what a training would find, as a table, as JSON and as labels.csv."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from commands import refused, retrain
from pictures import write_jpegs, write_workspace
from retrain.config import SplitConfig, TrainConfig
from retrain.data.images import PixelRules
from retrain.errors import DataError
from retrain.jobs.training_data import gather
from retrain.progress import Silent
from retrain.workspace import Workspace


def shown(*line: str | Path) -> Any:
    result = retrain("show-data", *line, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_categories_sides_groups_and_sources_are_listed(tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf", 3)
    new = write_jpegs(tmp_path / "new", "disc", 4, 50)
    for i, path in enumerate(new):
        path.rename(path.with_name(f"film{i // 2}_nohash_{i}.jpg"))
    assert retrain("import", root, tmp_path / "new").returncode == 0
    assert retrain("vary", root, "--category", "disc", "--only", "grey").returncode == 0
    (root / "data" / "disc" / "bad.jpg").write_text("bad")
    found = shown(root)
    disc = found["categories"][0]
    assert disc == {
        "name": "disc",
        "pictures": 7,
        "sides": {"train": 7},
        "groups": 5,
        "origins": {"import": 4, "yours": 3},
        "variations": 7,
    }
    assert [one["name"] for one in found["categories"]] == ["disc", "squares", "stripes"]
    assert [bad["name"] for bad in found["skipped"]] == ["disc/bad.jpg"]
    result = retrain("show-data", root)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["category", "pictures", "train", "groups", "variations", "from"]
    assert lines[1].split() == [*("disc", "7", "7", "5", "7", "import", "4,", "yours", "3")]


def test_folders_become_a_labels_csv_and_that_becomes_folders_again(tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf", 2, ("disc", "stripes"))
    (root / "data" / "disc" / "disc-000.jpg").rename(root / "data" / "disc" / "a_nohash_1.jpg")
    table = root / "data" / "labels.csv"
    shown(root, "--write-labels", table)
    assert table.read_text().splitlines() == [
        "path,label,split,group",
        "disc/a_nohash_1.jpg,disc,,a",
        "disc/disc-001.jpg,disc,,",
        "stripes/stripes-000.jpg,stripes,,",
        "stripes/stripes-001.jpg,stripes,,",
    ]
    assert shown(root)["categories"][0]["groups"] == 2
    assert refused(retrain("show-data", root, "--write-labels", table), 2).endswith(
        "See --write-labels."
    )
    assert retrain("import", tmp_path / "back", root / "data").returncode == 0
    back = tmp_path / "back" / "data"
    for path in (root / "data").rglob("*.jpg"):
        assert (back / path.relative_to(root / "data")).read_bytes() == path.read_bytes()
    assert shown(tmp_path / "back")["categories"][0]["groups"] == 2


def test_one_category_is_shown_too(tmp_path: Path) -> None:
    (one,) = shown(write_workspace(tmp_path, 2, ("disc",)))["categories"]
    assert one["pictures"] == 2


def test_paths_can_tell_categories_and_groups(tmp_path: Path) -> None:
    flat = tmp_path / "tf" / "data" / "all"
    flat.mkdir(parents=True)
    for category in ("disc", "stripes"):
        for path in write_jpegs(tmp_path / "drawn", category, 4):
            shutil.copy(path, flat / path.name)
    line = (tmp_path / "tf", "--labels-from", r"(?P<category>[a-z]+)-(?P<group>00)?")
    found = shown(*line)["categories"]
    assert [(one["name"], one["pictures"], one["groups"]) for one in found] == [
        *(("disc", 4, 1), ("stripes", 4, 1))
    ]
    line = (tmp_path / "tf", "--labels-from", "(?P<category>[0-9]+)x")
    message = refused(retrain("show-data", *line), 3)
    assert "'all/disc-000.jpg'" in message
    assert message.endswith("See --labels-from.")


def test_groups_that_paths_tell_are_counted_and_must_be_there(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 4, ("disc", "stripes"))
    for i in range(3):
        (root / f"data/disc/disc-00{i}.jpg").rename(root / f"data/disc/film7 {i}.jpg")
    result = retrain("show-data", root, "--group-by", r"film\d+")
    told = "--group-by puts 3 pictures into 1 group; 5 pictures stand alone."
    assert told in result.stderr.splitlines()
    for command in ("show-data", "show-batch"):
        message = refused(retrain(command, root, "--group-by", r"movie\d+"), 3)
        assert message == (
            r"retrain: --group-by 'movie\d+' finds a group in none of 8 paths, such as "
            "'disc/disc-003.jpg'. Change the expression, or leave it out."
        )
    assert "--group-by" not in retrain("show-data", root).stderr


def test_an_expression_of_an_earlier_training_need_not_find_any(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 2, ("disc", "stripes"))
    config, heard = TrainConfig(split=SplitConfig(group_by=r"movie\d+")), Silent()
    with pytest.raises(DataError, match="finds a group in none of 4 paths"):
        gather(Workspace(root), PixelRules(32, "squash"), config, heard)
    found = gather(Workspace(root), PixelRules(32, "squash"), config, heard, remembered=True)
    assert len(found.pictures) == 4
