"""What a check finds in folders, before the first training and after it, and what changes it."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from commands import QUICK, environment, refused, retrain
from pictures import draw, write_jpegs, write_workspace
from retrain.data.corrections import Correction, add_corrections
from retrain.evaluate.findings import Finding, Kind, of_kind, read_findings
from retrain.files import file_digest
from retrain.jobs.check import check
from retrain.progress import Silent


@pytest.fixture(scope="module")
def planted(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained workspace, with mistakes that came after its training."""
    root = tmp_path_factory.mktemp("planted") / "tf_files"
    shutil.copytree(trained, root, symlinks=True)
    data = root / "data"
    write_jpegs(data.parent / "more", "disc", 3, start=400)
    for i, path in enumerate(sorted((data.parent / "more" / "disc").iterdir())):
        path.rename(data / "stripes" / f"wrong-{i}.jpg")
    draw("noise", 5, (300, 40)).save(data / "squares" / "stranger.jpg")
    shutil.copy(data / "disc" / "disc-003.jpg", data / "squares" / "twin.jpg")
    Image.new("RGB", (90, 70), (3, 3, 4)).save(data / "disc" / "lens cap.png")
    draw("disc", 900, (24, 20)).save(data / "disc" / "tiny.png")
    return root


@pytest.fixture(scope="module")
def found(planted: Path) -> list[Finding]:
    result = retrain("check", planted, "--json")
    assert result.returncode == 0, result.stderr
    values = json.loads(result.stdout)
    assert values == json.loads((planted / "check.json").read_text())
    return read_findings(planted)


def named(findings: list[Finding], kind: Kind, picture: str) -> Finding:
    (one,) = (f for f in of_kind(findings, kind) if picture in f.pictures)
    return one


def test_wrong_labels_are_found_with_the_category_that_they_belong_to(
    found: list[Finding],
) -> None:
    for i in range(3):
        one = named(found, "label", f"stripes/wrong-{i}.jpg")
        assert (one.category, one.suggestion) == ("stripes", "disc")
        assert one.score > 0.5
        assert "A head that had not seen it says 'disc'" in one.why


def test_the_same_picture_in_two_categories_is_certainly_wrong(found: list[Finding]) -> None:
    one = named(found, "copy", "squares/twin.jpg")
    assert one.pictures == ("squares/twin.jpg", "disc/disc-003.jpg")
    assert (one.category, one.suggestion, one.score) == ("squares", "disc", 1.0)


def test_a_stranger_is_unusual(found: list[Finding]) -> None:
    assert named(found, "unusual", "squares/stranger.jpg").category == "squares"


def test_poor_pictures_are_named_with_their_numbers(found: list[Finding]) -> None:
    assert "of one colour" in named(found, "quality", "disc/lens cap.png").why
    assert (
        "smaller than 32 pixels (the smallest 20)" in named(found, "quality", "disc/tiny.png").why
    )


def test_findings_are_ranked_and_stand_in_a_table(planted: Path, found: list[Finding]) -> None:
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    with (planted / "check.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(dict.fromkeys(int(row["rank"]) for row in rows)) == list(range(1, len(found) + 1))
    first = [row["picture"] for row in rows if row["rank"] == "1"]
    assert tuple(first) == found[0].pictures


def test_the_report_shows_them_and_says_what_to_do(planted: Path, found: list[Finding]) -> None:
    report = planted / "report.html"
    result = retrain("report", planted, "--output", report)
    assert result.returncode == 0, result.stderr
    page = report.read_text()
    assert "To be checked" in page
    assert "2 copies of one picture lie in &#39;disc&#39; and &#39;squares&#39;" in page
    assert "pictures matter most, if they are wrong: squares/twin.jpg" in page
    assert "<code>retrain clean TF_FILES</code>" in page
    assert found


def test_a_training_checks_its_pictures_at_its_end(trained: Path) -> None:
    assert (trained / "check.json").is_file()
    assert (trained / "check.csv").is_file()


def test_after_a_training_no_tensorflow_is_loaded(planted: Path, found: list[Finding]) -> None:
    code = (
        "import sys; from pathlib import Path; from retrain.jobs.check import check; "
        "from retrain.progress import Silent; check(Path(sys.argv[1]), Silent()); "
        "print(sorted({'tensorflow', 'keras'} & sys.modules.keys()))"
    )
    assert found  # so that nothing is computed for the first time
    result = subprocess.run(
        [sys.executable, "-c", code, planted],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "[]\n"


def test_without_caches_a_model_tells_the_same(planted: Path, found: list[Finding]) -> None:
    shutil.rmtree(planted / "bottlenecks")
    again = check(planted, Silent()).findings
    assert [(one.kind, one.pictures, one.suggestion) for one in again] == [
        (one.kind, one.pictures, one.suggestion) for one in found
    ]


def test_what_a_person_confirmed_is_no_longer_doubted(planted: Path, found: list[Finding]) -> None:
    choices = [
        choice(planted, "stripes/wrong-0.jpg", "not a mistake", "stripes"),
        choice(planted, "stripes/wrong-1.jpg", "other category", "disc"),
        choice(planted, "stripes/wrong-2.jpg", "left out", ""),
        choice(planted, "squares/stranger.jpg", "not a mistake", "squares"),
        choice(planted, "squares/twin.jpg", "other category", "disc"),
    ]
    add_corrections(planted / "corrections.csv", choices)
    checked = check(planted, Silent())
    doubted = {name for one in checked.findings for name in one.pictures if one.kind != "quality"}
    assert not {c.name for c in choices} & doubted
    names = {picture.name: picture.category for picture in checked.pictures}
    assert names["stripes/wrong-1.jpg"] == "disc"
    assert "stripes/wrong-2.jpg" not in names
    (planted / "corrections.csv").unlink()


def choice(root: Path, name: str, what: Any, category: str) -> Correction:
    return Correction(file_digest(root / "data" / name), name, what, category)


def test_before_the_first_training_pictures_are_checked_as_well(tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf_files", 12, ("disc", "stripes"))
    write_jpegs(tmp_path, "disc", 1, start=400)[0].rename(root / "data" / "stripes" / "wrong.jpg")
    result = retrain("check", root)
    assert result.returncode == 0, result.stderr
    assert "stripes/wrong.jpg: A head that had not seen it says 'disc'" in result.stdout
    assert "'disc' has 12 pictures; with fewer than 20" in result.stdout
    assert not (root / "model").exists()
    again = retrain("check", root)  # from the cache
    assert again.stdout == result.stdout


def test_one_category_alone_is_checked_without_labels(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 10, ("disc",))
    kinds = {one.kind for one in check(root, Silent()).findings}
    assert kinds <= {"unusual", "quality"}


def test_without_pictures_there_is_nothing_to_check(tmp_path: Path) -> None:
    assert "Pictures belong in" in refused(retrain("check", tmp_path), 3)


@pytest.mark.parametrize("name", ["train", "check", "show-data"])
def test_pictures_in_the_data_folder_itself_are_counted(tmp_path: Path, name: str) -> None:
    data = tmp_path / "data"
    for path in write_jpegs(tmp_path / "elsewhere", "disc", 2):
        data.mkdir(exist_ok=True)
        path.rename(data / path.name)
        found = len(list(data.iterdir()))
        count, each = ("1 picture lies", "It") if found == 1 else ("2 pictures lie", "Each")
        assert refused(retrain(name, tmp_path), 3) == (
            f"retrain: {count} in {data} itself. {each} belongs in a folder of its category, such "
            f"as {data}/cat/1.jpg."
        )


def test_a_training_keeps_a_check_out(trained: Path) -> None:
    from retrain.workspace import Workspace

    with Workspace(trained).lock():
        assert "Only one training may run" in refused(retrain("check", trained), 8)


@pytest.mark.slow
def test_corrections_are_learned_and_their_effect_is_told(tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf_files", 20, ("disc", "stripes"))
    wrong = [f"stripes/wrong-{i}.jpg" for i in range(4)]
    for name, path in zip(wrong, write_jpegs(tmp_path, "disc", 4, start=400), strict=True):
        path.rename(root / "data" / name)
    first = retrain("train", root, *QUICK)
    assert first.returncode == 0, first.stderr
    idle = retrain("train", root, *QUICK, "--with-corrections")
    assert idle.stdout.endswith(" knows all corrections; there is nothing to train.\n")
    choices = [choice(root, name, "other category", "disc") for name in wrong]
    add_corrections(root / "corrections.csv", choices)
    second = retrain("train", root, *QUICK, "--with-corrections", "--json")
    assert second.returncode == 0, second.stderr
    assert "4 pictures of 'stripes' count as 'disc'." in second.stderr
    told = json.loads(second.stdout)["corrections"]
    assert told["pictures"] == 44
    assert told["before_by_its_own_labels"] < told["after"]
    assert told["accuracy_after"] > told["accuracy_before"]
    split = (root / "model" / "split.csv").read_text()
    assert all(f"{name},disc," in split for name in wrong)
    assert all((root / "data" / name).is_file() for name in wrong)
    assert not [one for one in check(root, Silent()).findings if set(wrong) & set(one.pictures)]
