"""What `sources.csv` says of pictures holds wherever these lie."""

import shutil
from pathlib import Path

from pictures import write_jpegs
from retrain.data.check import check
from retrain.data.images import PixelRules
from retrain.data.origins import COLUMNS, SOURCES
from retrain.data.records import Picture, Skipped
from retrain.data.sources import open_data
from retrain.files import file_digest, write_csv

RULES = PixelRules(32, "squash")


def write_sources(root: Path, *rows: dict[str, str]) -> None:
    full = [dict.fromkeys(COLUMNS, "") | {"status": "kept"} | row for row in rows]
    write_csv(root / SOURCES, COLUMNS, [[row[name] for name in COLUMNS] for row in full])


def checked(root: Path) -> tuple[dict[str, Picture], list[Skipped]]:
    pictures, skipped = check(open_data(root / "data"), RULES)
    return {picture.name: picture for picture in pictures}, skipped


def test_groups_stand_between_the_users_and_those_of_names(tmp_path: Path) -> None:
    paths = write_jpegs(tmp_path / "data", "disc", 3)
    paths[1] = paths[1].rename(paths[1].with_name("film_nohash_1.jpg"))
    rows = [
        {"job": "frames", "sha256": file_digest(path), "group": f"scene {i}"}
        for i, path in enumerate(paths[:2])
    ]
    write_sources(tmp_path, *rows)
    found, _ = checked(tmp_path)
    assert found["disc/disc-000.jpg"].key == "source:scene 0"
    assert found["disc/film_nohash_1.jpg"].key == "source:scene 1"
    assert found["disc/disc-002.jpg"].key == found["disc/disc-002.jpg"].sha256
    by_path, _ = check(open_data(tmp_path / "data"), RULES, group_by="disc")
    assert {picture.key for picture in by_path} == {"group:disc"}
    (tmp_path / "data" / "labels.csv").write_text("path,label,group\ndisc/disc-000.jpg,a,mine\n")
    found, _ = checked(tmp_path)
    assert found["disc/disc-000.jpg"].key == "group:mine"


def test_a_variation_follows_its_original_and_goes_without_it(tmp_path: Path) -> None:
    original, variation = write_jpegs(tmp_path / "data", "disc", 2)
    write_jpegs(tmp_path / "data", "ring", 1, 9)
    content = file_digest(original)
    write_sources(tmp_path, {"job": "vary", "sha256": file_digest(variation), "group": content})
    moved = tmp_path / "data" / "ring" / "film_nohash_7.jpg"
    shutil.move(original, moved)
    found, skipped = checked(tmp_path)
    own, made = found["ring/film_nohash_7.jpg"], found["disc/disc-001.jpg"]
    assert (made.varies, made.key, made.category) == (content, "group:film", "ring")
    assert (own.varies, own.key) == (None, "group:film")
    assert skipped == []
    moved.unlink()
    found, skipped = checked(tmp_path)
    assert set(found) == {"ring/ring-009.jpg"}
    assert [bad.reason for bad in skipped] == ["a variation of a picture that is gone"]


def test_another_sources_csv_says_nothing(tmp_path: Path) -> None:
    write_jpegs(tmp_path / "data", "disc", 1)
    for text in ("a,b\n1,2\n", "\0\0", 'job,status\n"open'):
        (tmp_path / SOURCES).write_text(text)
        assert checked(tmp_path)[0]["disc/disc-000.jpg"].varies is None
