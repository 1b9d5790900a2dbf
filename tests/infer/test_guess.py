"""`retrain guess`, as people run it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from commands import command, environment, retrain
from pictures import CATEGORIES, draw, write_jpegs

LINE = re.compile(r"(.+) \(score = ([01]\.\d{5})\)")
NEW = 900  # seeds from here on were not trained on


@pytest.fixture(scope="module")
def new_pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A picture of each category that the model has not seen."""
    folder = tmp_path_factory.mktemp("new pictures")
    return [write_jpegs(folder, category, 1, start=NEW)[0] for category in CATEGORIES]


def scores(text: str) -> list[tuple[str, float]]:
    """Read lines such as `disc (score = 0.99636)`; every line must be one."""
    matches = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(matches), text
    return [(match[1], float(match[2])) for match in matches if match]


def test_one_picture_gives_a_line_for_each_category_best_first(
    trained: Path, new_pictures: list[Path]
) -> None:
    result = retrain("guess", trained, new_pictures[0])
    assert (result.returncode, result.stderr) == (0, "")
    found = scores(result.stdout)
    assert found[0][0] == "disc"
    assert {category for category, _ in found} == set(CATEGORIES)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    assert sum(score for _, score in found) == pytest.approx(1, abs=2e-5)


def test_several_pictures_are_named_in_the_order_given(trained: Path, tmp_path: Path) -> None:
    paths = [
        path  # more than go through the network together
        for category in CATEGORIES
        for path in write_jpegs(tmp_path, category, 7, start=NEW)
    ]
    result = retrain("guess", trained, *paths, "--top", "1")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0::2] == [f"{path}:" for path in paths]
    assert [name for name, _ in scores("\n".join(lines[1::2]))] == [p.parent.name for p in paths]


def test_top_shows_the_best_only(trained: Path, new_pictures: list[Path]) -> None:
    result = retrain("guess", trained, new_pictures[1], "--top", "2")
    assert len(scores(result.stdout)) == 2
    assert scores(result.stdout)[0][0] == "stripes"


def test_json_holds_every_picture_with_its_scores_or_its_error(
    trained: Path, new_pictures: list[Path], tmp_path: Path
) -> None:
    missing = tmp_path / "no.jpg"
    result = retrain("guess", "--json", trained, new_pictures[2], missing)
    assert result.returncode == 6
    good, bad = json.loads(result.stdout)
    assert (good["source"], good["error"]) == (str(new_pictures[2]), None)
    assert next(iter(good["scores"])) == "squares"
    assert sum(good["scores"].values()) == pytest.approx(1, abs=1e-5)
    assert 0 < good["familiar"] <= 1
    assert bad == {
        "source": str(missing),
        "scores": {},
        "familiar": None,
        "unlike": False,
        "error": "No such file or directory",
    }


def test_a_stranger_is_told_beside_its_scores(trained: Path, tmp_path: Path) -> None:
    stranger = tmp_path / "white.jpg"
    Image.new("RGB", (90, 80), "white").save(stranger)
    result = retrain("guess", trained, stranger)
    assert result.returncode == 0
    assert len(scores(result.stdout)) == len(CATEGORIES)
    assert re.fullmatch(
        rf"retrain: {re.escape(str(stranger))}: unlike anything it learned from "
        r"\(familiar = 0\.0\d{4}\)\n",
        result.stderr,
    )


def test_unreadable_files_are_listed_and_the_others_still_named(
    trained: Path, new_pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("no picture at all")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "torn.jpg").write_bytes(new_pictures[0].read_bytes()[:900])
    bad = [tmp_path / name for name in ("text.jpg", "empty.jpg", "torn.jpg", "missing.jpg")]
    result = retrain("guess", trained, *bad, tmp_path, new_pictures[0])
    assert result.returncode == 6
    *listed, final = result.stderr.splitlines()
    for path, line in zip([*bad, tmp_path], listed, strict=True):
        assert line.startswith(f"retrain: {path}: ")
    assert final == "retrain: 5 of 6 pictures could not be guessed."
    assert result.stdout.splitlines()[0] == f"{new_pictures[0]}:"
    assert scores(result.stdout.split("\n", 1)[1])[0][0] == "disc"


def test_any_file_name_can_be_given(trained: Path, tmp_path: Path) -> None:
    names = ["two words.jpg", "é.JPG", "-dash.jpg", "no_suffix", os.fsdecode(b"caf\xe9.jpg")]
    for name in names:
        draw("disc", NEW).save(tmp_path / name, "JPEG")
    result = subprocess.run(
        command("guess", trained, "--json", "--", *names),
        capture_output=True,
        text=True,
        env=environment(),
        cwd=tmp_path,
        check=True,
    )
    guesses = json.loads(result.stdout)
    assert [guess["source"] for guess in guesses] == names
    assert all(max(guess["scores"], key=guess["scores"].get) == "disc" for guess in guesses)


def test_a_run_can_be_asked_in_place_of_the_workspace(
    trained: Path, new_pictures: list[Path]
) -> None:
    run = (trained / "model").resolve()
    assert scores(retrain("guess", run, new_pictures[0]).stdout)[0][0] == "disc"


def test_a_reader_that_has_seen_enough_is_no_error(trained: Path, new_pictures: list[Path]) -> None:
    with subprocess.Popen(
        command("guess", trained, new_pictures[0]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
