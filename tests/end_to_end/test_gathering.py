"""From addresses and films to a report: download, frames, vary, train, all by commands."""

import csv
import json
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from commands import QUICKEST, refused, retrain
from films import write_scenes
from pictures import draw, encoded, write_jpegs
from retrain.cli.main import app
from servers import serving

EACH = 16


def done(*line: str | Path) -> str:
    result = retrain(*line)
    assert result.returncode == 0, result.stderr
    return result.stdout


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_addresses_and_two_films_become_a_model_with_a_report(tmp_path: Path) -> None:
    root, lists = tmp_path / "tf files", tmp_path / "lists"
    lists.mkdir()
    with serving() as server:
        for category in ("disc", "squares"):
            urls = [
                server.file(f"/{category}/{i}", encoded(draw(category, i), "JPEG"))
                for i in range(EACH)
            ]
            (lists / f"urls_{category}.csv").write_text("\n".join(urls))
        done("download", root, lists, "--allow-private")
    write_scenes(tmp_path / "films" / "sea" / "one.mp4", range(8), seconds=2)
    write_scenes(tmp_path / "films" / "sea" / "two.mp4", range(8, 16), seconds=2)
    done("frames", root, tmp_path / "films", "--every", "1")
    done("vary", root, "--category", "disc", "--only", "grey", "--only", "inverted")
    shown = json.loads(done("show-data", root, "--json"))["categories"]
    assert [(one["name"], one["origins"], one["variations"]) for one in shown] == [
        ("disc", {"download": EACH}, 2 * EACH),
        ("sea", {"frames": 32}, 0),
        ("squares", {"download": EACH}, 0),
    ]
    said = done("train", root, *QUICKEST)
    assert "On pictures like these: " in said
    page = (root / "model" / "report.html").read_text("utf-8")
    assert "vary-grey" not in page
    split = table(root / "model" / "split.csv")
    assert len(split) == 2 * EACH + 32
    folds: dict[str, set[str]] = {}
    for row in split:  # a scene's frames judge together
        folds.setdefault(row["key"], set()).add(row["fold"])
    assert {len(found) for found in folds.values()} == {1}
    scenes = [key for key in folds if key.startswith("source:")]
    assert len(scenes) == 16
    judged = table(root / "model" / "out_of_fold.csv")
    assert len(judged) == 2 * EACH + 32


def test_labels_come_from_paths_without_copying(tmp_path: Path) -> None:
    root = tmp_path / "tf"
    (root / "data" / "everything").mkdir(parents=True)
    for category in ("disc", "stripes"):
        for path in write_jpegs(tmp_path / "drawn", category, 10):
            shutil.copy(path, root / "data" / "everything")
    Image.new("RGB", (90, 70), (3, 3, 4)).save(root / "data" / "everything" / "disc-99.jpg")
    said = done("train", root, *QUICKEST, "--labels-from", r"(?P<category>\w+)-\d+\.jpg")
    assert "On pictures like these: " in said
    labels = (root / "model" / "labels.txt").read_text().split()
    assert labels == ["disc", "stripes"]
    config = json.loads((root / "model" / "config.json").read_text())
    assert config["labels_from"] == r"(?P<category>\w+)-\d+\.jpg"
    assert "accuracy" in done("evaluate", root)
    found = json.loads(done("check", root, "--json"))
    dark = next(f for f in found if f["pictures"] == ["everything/disc-99.jpg"])
    assert dark["category"] == "disc"
    assert "--labels-from" in refused(retrain("check", root, "--apply"), 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples of the gathering commands name."""
    folder = tmp_path_factory.mktemp("examples")
    write_scenes(folder / "film.mp4", [1, 2], seconds=1)
    place = folder / "tf_files" / "data"
    write_jpegs(place, "boat", 2)
    write_jpegs(place, "house", 2)
    shutil.copy(place / "boat" / "boat-000.jpg", place / "boat" / "drawing 1.jpg")
    for i, path in enumerate(write_jpegs(folder / "holiday", "disc", 3, 40)):
        path.rename(path.with_name(f"tree_{i}.jpg"))
    shutil.make_archive(str(folder / "holiday"), "zip", folder / "holiday")
    return folder


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("download", "      1  cat"),
        ("import", "      3  tree"),
        ("frames", "      2  boat, film.mp4: 2 scenes"),
        ("vary", "      6  new variations of 1 picture"),
        ("show-data", "Labels: labels.csv"),
    ],
)
def test_the_example_of_each_gathering_command_runs(name: str, told: str, folder: Path) -> None:
    line = shlex.split((app.commands[name].help or "").split("Example: retrain ")[1])
    with serving() as server:
        (folder / "cats.txt").write_text(server.file("/1", encoded(draw("noise", 1), "JPEG")))
        extra = ["--allow-private"] if name == "download" else []
        result = retrain(*line, *extra, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert told in result.stdout
