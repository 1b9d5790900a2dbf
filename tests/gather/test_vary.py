"""Variations: written beside their originals, marked, taken away again; they only teach."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from commands import QUICKEST, refused, retrain
from pictures import draw, write_workspace
from retrain.gather.borders import border, common, cropped
from retrain.gather.variations import KINDS, vary
from scenes import scene


def rows(root: Path, file: str = "sources.csv") -> list[dict[str, str]]:
    with (root / file).open(newline="") as table:
        return list(csv.DictReader(table))


def varied(*line: str | Path, code: int = 0) -> Any:
    result = retrain("vary", *line, "--json")
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


def tree(root: Path) -> dict[str, bytes]:
    data = root / "data"
    return {p.relative_to(data).as_posix(): p.read_bytes() for p in data.rglob("*") if p.is_file()}


def test_each_kind_is_another_picture_of_the_same_size() -> None:
    pixels = np.asarray(draw("disc", 1))
    found = {kind: vary(pixels, kind, 7) for kind in KINDS}
    assert {one.shape for one in found.values()} == {pixels.shape}
    assert {one.dtype for one in found.values()} == {np.dtype(np.uint8)}
    assert all(np.abs(one.astype(int) - pixels).mean() > 1 for one in found.values())
    assert (found["grey"] == found["grey"][:, :, :1]).all()
    assert (found["inverted"] == 255 - pixels).all()
    assert (vary(pixels, "poisson", 7) == found["poisson"]).all()
    assert (vary(pixels, "poisson", 8) != found["poisson"]).any()
    flat = np.full((4, 4, 3), 9, np.uint8)
    assert all(vary(flat, kind, 0).shape == flat.shape for kind in KINDS)


def framed(seed: int, edges: tuple[int, int, int, int], colour: tuple[int, int, int]) -> Any:
    picture = ImageOps.expand(scene(seed), edges, colour)
    return np.asarray(picture)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (3, 3, 6)])
@pytest.mark.parametrize("edges", [(0, 14, 0, 14), (20, 0, 20, 0), (9, 9, 9, 9), (0, 0, 0, 0)])
def test_uniform_borders_are_found(
    edges: tuple[int, int, int, int], colour: tuple[int, int, int]
) -> None:
    pixels = framed(1, edges, colour)
    assert border(pixels) == edges
    inside = cropped(pixels, edges)
    if any(edges):
        assert inside is not None
        assert border(inside) == (0, 0, 0, 0)
    else:
        assert inside is None


def test_a_dark_scene_does_not_widen_the_border_of_its_film() -> None:
    found = [(0, 14, 0, 14)] * 18 + [(0, 50, 0, 44), (0, 0, 0, 0)]
    assert common(found) == (0, 14, 0, 14)


def test_a_picture_of_one_colour_is_left_whole() -> None:
    assert border(np.full((40, 60, 3), 8, np.uint8)) is None


def test_variations_lie_beside_their_originals_and_are_made_once(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 3)
    before = tree(root)
    (root / "data" / "disc" / "fan art.png").write_bytes(before["disc/disc-000.jpg"][:-99])
    found = varied(root, "--category", "disc", "--like", "disc-00[01]*")
    assert (found["originals"], found["made"]) == (2, dict.fromkeys(KINDS, 2))
    new = tree(root).keys() - before.keys() - {"disc/fan art.png"}
    assert new == {f"disc/disc-00{i}-vary-{kind}.jpg" for i in (0, 1) for kind in KINDS}
    assert {row["job"] for row in rows(root)} == {"vary"}
    again = varied(root, "--category", "disc", "--like", "disc-00[01]*")
    assert (again["originals"], again["made"], again["there"]) == (2, {}, 12)
    more = varied(root, "--category", "disc", "--only", "grey", code=6)
    assert (more["made"], more["there"]) == ({"grey": 1}, 2)
    assert more["failed"][0][0] == "disc/fan art.png"


def test_undo_takes_away_what_was_made_and_nothing_else(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 2)
    before = tree(root)
    varied(root, "--category", "disc")
    varied(root, "--category", "stripes", "--only", "grey")
    place = root / "data" / "disc"
    (place / "disc-000-vary-grey.jpg").write_bytes(b"edited")
    (place / "disc-000-vary-inverted.jpg").rename(root / "data" / "squares" / "b-vary-x.jpg")
    found = varied(root, "--category", "disc", "--undo")
    assert (found["removed"], found["kept"]) == (11, 1)
    assert tree(root).keys() - before.keys() == {
        "disc/disc-000-vary-grey.jpg",
        *(f"stripes/stripes-00{i}-vary-grey.jpg" for i in (0, 1)),
    }
    varied(root, "--undo")
    (place / "disc-000-vary-grey.jpg").unlink()
    assert tree(root) == before
    assert rows(root) == []
    assert "no variations" in refused(retrain("vary", root, "--undo"), 3)


def test_borders_are_cut_as_all_pictures_of_a_film_have_them(tmp_path: Path) -> None:
    for i in range(4):
        place = tmp_path / "data" / "boat"
        place.mkdir(parents=True, exist_ok=True)
        picture = scene(i) if i else Image.new("RGB", (180, 132))
        bars = ImageOps.expand(picture, (0, 20, 0, 20))
        bars.save(place / f"film_nohash_{i}.png")
    found = varied(tmp_path, "--category", "boat", "--crop-border", "auto")
    assert found["made"] == {"cropped": 4}
    with Image.open(tmp_path / "data" / "boat" / "film_nohash_1-vary-cropped.jpg") as image:
        assert image.size == (180, 132 - 2)
    assert varied(tmp_path, "--category", "boat", "--crop-border", "9")["made"] == {"cropped": 4}
    assert (tmp_path / "data" / "boat" / "film_nohash_1-vary-cropped-2.jpg").is_file()


def test_pictures_that_are_too_small_to_be_cropped_are_told(tmp_path: Path) -> None:
    place = tmp_path / "data" / "boat"
    place.mkdir(parents=True)
    for i, size in enumerate([(60, 60), (200, 200)]):
        scene(i).resize(size).save(place / f"{i}.png")
    line = ("vary", tmp_path, "--category", "boat", "--crop-border")
    assert refused(retrain(*line, "9999"), 3) == (
        "retrain: No picture is large enough to lose 9999 pixels on each edge. See --crop-border."
    )
    some = retrain(*line, "40")
    assert some.returncode == 0
    assert "1 picture is too small to lose 40 pixels on each edge: not cropped." in some.stderr
    assert "1  cropped" in some.stdout


def test_what_cannot_be_varied_is_told(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 1)
    assert refused(retrain("vary", root), 2).endswith("See --category.")
    message = refused(retrain("vary", root, "--category", "ring"), 3)
    assert "Categories are 'disc', 'squares', 'stripes'" in message
    refused(retrain("vary", root, "--category", "disc", "--crop-border", "x"), 2)


@pytest.mark.slow
def test_variations_teach_and_are_in_no_number(tmp_path: Path) -> None:
    """A training with them learns something else, and judges and counts the same pictures."""
    plain = write_workspace(tmp_path / "plain", 12)
    root = tmp_path / "tf"
    shutil.copytree(plain, root)
    varied(root, "--category", "disc")
    # Wherever a variation lies, it is of its original's category.
    grey = root / "data" / "disc" / "disc-000-vary-grey.jpg"
    grey.rename(root / "data" / "stripes" / "moved.jpg")
    (root / "data" / "disc" / "disc-001.jpg").unlink()
    (plain / "data" / "disc" / "disc-001.jpg").unlink()
    for workspace in (plain, root):
        result = retrain("train", workspace, *QUICKEST, "--hold-out", "0.3")
        assert result.returncode == 0, result.stderr
    assert "Skipped disc/disc-001-vary-grey.jpg: a variation of a picture that is gone" in (
        result.stderr
    )
    splits = [rows(w / "model", "split.csv") for w in (plain, root)]
    assert splits[0] == splits[1]
    held = sum(row["category"] == "disc" and row["side"] == "test" for row in splits[0])
    taught, idle = 66 - 6 * held, 6 * held
    said = f"{taught} variations of them that only teach; {idle} of pictures that are held back are"
    assert said in result.stderr
    for name in ("out_of_fold.csv", "predictions.csv"):
        paths = [{row["path"] for row in rows(w / "model", name)} for w in (plain, root)]
        assert paths[0] == paths[1]
    metrics = [json.loads((w / "model" / "metrics.json").read_text()) for w in (plain, root)]
    for name in ("cross_fitted", "test"):
        assert metrics[0][name]["pictures"] == metrics[1][name]["pictures"]
        assert metrics[0][name]["groups"] == metrics[1][name]["groups"]
    assert metrics[0]["cross_fitted"]["log_loss"] != metrics[1]["cross_fitted"]["log_loss"]
    judged = retrain("evaluate", root, "--data", root / "data", "--json")
    assert json.loads(judged.stdout)["pictures"] == 35
    assert "72 variations are left out: variations only teach." in judged.stderr
