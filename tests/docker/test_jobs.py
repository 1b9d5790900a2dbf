"""The main job in a container, as the README has it."""

import csv
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from commands import ROOT
from containers import Project

SAMPLE = ROOT / "tf_files" / "data"


@pytest.fixture(scope="module")
def sample(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample that comes with the project, trained with no options."""
    root = tmp_path_factory.mktemp("sample") / "tf_files"
    shutil.copytree(SAMPLE, root / "data")
    result = project.run("train.sh", root)
    assert result.returncode == 0, result.stderr
    assert re.search(
        r"^The head, cross-validated: accuracy [01]\.\d{3} ", result.stdout, re.MULTILINE
    )
    assert f"Model: {root / 'model'} -> {(root / 'model').readlink().name}, " in result.stdout
    return root


def test_the_sample_is_learned_and_a_boat_is_called_a_boat(project: Project, sample: Path) -> None:
    result = project.run("guess.sh", sample, SAMPLE / "boat" / "boat-07.jpg")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert re.fullmatch(r"boat \(score = 0\.\d{5}\)", lines[0])
    assert {line.split(" (score = ")[0] for line in lines} == {"boat", "house", "tree"}
    assert result.stderr == ""


def test_a_folder_is_sorted_into_copies_named_by_category_and_score(
    project: Project, sample: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for category in ("boat", "house", "tree"):
        for path in sorted((SAMPLE / category).iterdir())[:2]:
            shutil.copy2(path, photos / path.name)
    result = project.run("guessDir.sh", sample, "photos", "sorted", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "      6  copied to sorted"
    with (tmp_path / "sorted" / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == sorted(map(str, photos.iterdir()))
    for row in rows:
        assert re.fullmatch(r"(boat|house|tree)-[01]\.\d{5}\.jpg", row["copy"])
        assert row["copy"].startswith(f"{row['category']}-{row['score']}")
        copied = tmp_path / "sorted" / row["copy"]
        assert copied.read_bytes() == Path(row["source"]).read_bytes()


def test_a_guess_leaves_the_lines_of_a_loop_alone(
    project: Project, sample: Path, tmp_path: Path
) -> None:
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(SAMPLE / "tree" / "tree-07.jpg", tmp_path / name)
    command = " ".join(f"'{word}'" for word in project.line("guess.sh", sample))
    loop = f'printf \'a.jpg\\nb.jpg\\n\' | while read -r f; do echo "$f"; {command} "$f"; done'
    result = subprocess.run(
        ["bash", "-c", loop],
        cwd=tmp_path,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = result.stdout.splitlines()
    assert [lines[0], lines[4]] == ["a.jpg", "b.jpg"]
    assert lines[1:4] == lines[5:8]
    assert len(lines) == 8
