"""`retrain frames`: each film once, with scenes as groups, whatever happens meanwhile."""

import csv
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from commands import PATIENCE, command, environment, refused, retrain
from films import write_scenes, write_sound
from retrain.data.check import check
from retrain.data.images import PixelRules
from retrain.data.sources import open_data


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "sources.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def taken(*line: str | Path, code: int = 0) -> Any:
    result = retrain("frames", *line, "--json")
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


def names(root: Path) -> list[str]:
    return sorted(p.relative_to(root / "data").as_posix() for p in root.glob("data/*/*.jpg"))


def test_frames_are_named_by_time_and_scenes_are_groups(tmp_path: Path) -> None:
    film = write_scenes(tmp_path / "my film.mp4", [1, 2, 3])
    root = tmp_path / "tf"
    (found,) = taken(root, film, "--category", "boat", "--every", "1")["films"]
    assert (found["kept"], found["scenes"], found["trouble"]) == (9, 3, "")
    assert names(root) == [f"boat/my film_nohash_{10 * t:06d}.jpg" for t in range(9)]
    pictures, skipped = check(open_data(root / "data"), PixelRules(64, "squash"))
    assert skipped == []
    keys = [picture.key for picture in pictures]
    assert [keys.count(key) for key in dict.fromkeys(keys)] == [3, 3, 3]
    assert all(key.startswith("source:my film.mp4 ") for key in keys)
    again = taken(root, film, "--category", "boat", "--every", "1")
    assert (again["films"], again["before"]) == ([], 1)
    more = taken(root, film, "--category", "boat", "--scenes")["films"][0]
    assert more["kept"] <= 3
    assert len({row["group"] for row in rows(root) if row["status"] == "kept"}) == 3


def test_folders_of_films_and_films_of_a_folder_are_categories(tmp_path: Path) -> None:
    films = tmp_path / "films"
    write_scenes(films / "ships" / "a.mp4", [1], seconds=1)
    write_scenes(films / "cars.mkv", [2], seconds=1)
    (films / "readme.txt").write_text("no film")
    found = taken(tmp_path / "tf", films)["films"]
    assert {film["category"] for film in found} == {"ships", "cars"}
    assert names(tmp_path / "tf") == ["cars/cars_nohash_000000.jpg", "ships/a_nohash_000000.jpg"]


def test_two_films_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    films = [write_scenes(tmp_path / name / "a.mp4", [i], seconds=1) for i, name in enumerate("xy")]
    taken(tmp_path / "tf", *films, "--category", "boat")
    assert names(tmp_path / "tf") == [f"boat/a_nohash_000000{mark}.jpg" for mark in ("-2", "")]
    kept = [row for row in rows(tmp_path / "tf") if row["status"] == "kept"]
    assert len({row["group"] for row in kept}) == 2


def test_a_kill_in_the_middle_costs_no_frame(tmp_path: Path) -> None:
    film = write_scenes(tmp_path / "long.mp4", range(40), seconds=2)
    whole, root = tmp_path / "whole", tmp_path / "tf"
    line = (film, "--category", "boat", "--every", "0.4")
    taken(whole, *line)
    start = command("frames", root, *line)
    with subprocess.Popen(start, env=environment(), stderr=-3, stdout=-3) as process:
        deadline = time.monotonic() + PATIENCE
        while len(names(root)) < 20:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    before = len(names(root))
    (found,) = taken(root, *line)["films"]
    assert 0 < found["kept"] < len(names(whole))
    assert 20 <= before < len(names(whole))
    assert names(root) == names(whole)
    kept = [row["path"] for row in rows(root) if row["status"] == "kept"]
    assert sorted(kept) == names(root)  # each has one row


def test_what_cannot_be_read_is_told_and_the_rest_is_done(tmp_path: Path) -> None:
    good = write_scenes(tmp_path / "good.mp4", [1], seconds=1)
    sound = write_sound(tmp_path / "sound.m4a")
    result = retrain("frames", tmp_path / "tf", sound, good, "--category", "boat")
    assert "1 film is damaged or no film" in refused(result, 6)
    assert "sound.m4a gives no frame: there is no video in it." in result.stderr
    assert "boat, good.mp4: 1 scene, 0 black" in result.stdout
    assert len(names(tmp_path / "tf")) == 1


def test_without_films_readers_or_a_category_the_command_says_so(tmp_path: Path) -> None:
    film = write_scenes(tmp_path / "a.mp4", [1], seconds=1)
    assert refused(retrain("frames", tmp_path / "tf", film), 2).endswith("See --category.")
    (tmp_path / "empty").mkdir()
    assert "no film" in refused(retrain("frames", tmp_path / "tf", tmp_path / "empty"), 3)
    assert "not there" in refused(retrain("frames", tmp_path / "tf", tmp_path / "b.mp4"), 3)
    for every in ("1", "2"):  # the second is the default
        both = ("--category", "boat", "--scenes", "--every", every)
        assert refused(retrain("frames", tmp_path / "tf", film, *both), 2) == (
            "retrain: --scenes and --every do not go together. Received: both."
        )
    line = ("frames", tmp_path / "tf", film, "--category", "boat", "--reader", "ffmpeg")
    message = refused(retrain(*line, PATH="/nowhere"), 8)
    assert "pip install 'retrain[films]'" in message
    assert not (tmp_path / "tf").exists()
