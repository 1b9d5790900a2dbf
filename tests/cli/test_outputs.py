"""What `--output` names is written, and nothing of the user's is written over."""

from pathlib import Path

import pytest
from PIL import Image

from commands import refused, retrain
from pictures import write_workspace

FOREIGN = "which this command did not write. Name another file. See --output."


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_workspace(tmp_path_factory.mktemp("outputs"), each=6)


def test_a_picture_of_the_users_is_not_drawn_over(pictures: Path, tmp_path: Path) -> None:
    boat = tmp_path / "boat.png"
    Image.new("RGB", (8, 8)).save(boat)
    before = boat.read_bytes()
    for command in ("show-batch", "lr-find"):
        message = refused(retrain(command, pictures, "--output", boat), 2)
        assert f"No file of yours is overwritten. Received: {boat}, {FOREIGN}" in message
    sheet = tmp_path / "show-batch.png"
    boat.rename(sheet)
    assert FOREIGN in refused(retrain("show-batch", pictures, "--output", tmp_path), 2)
    assert sheet.read_bytes() == before


def test_what_was_drawn_before_is_drawn_again(pictures: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "new" / "sheet.png"
    for _ in range(2):
        result = retrain("show-batch", pictures, "--output", sheet)
        assert result.returncode == 0, result.stderr
    older = pictures / "show-batch.png"  # at its usual place, without a mark
    Image.new("RGB", (8, 8)).save(older)
    assert retrain("show-batch", pictures).returncode == 0
    assert older.read_bytes() == sheet.read_bytes()


def test_nothing_is_drawn_among_the_pictures_nor_under_another_kind_of_name(
    pictures: Path, tmp_path: Path
) -> None:
    for inside in (pictures / "data" / "new" / "sheet.png", pictures / "data" / "disc"):
        message = refused(retrain("show-batch", pictures, "--output", inside), 2)
        assert "Output must not lie among the pictures" in message
    assert not (pictures / "data" / "new").exists()
    message = refused(retrain("show-batch", pictures, "--output", tmp_path / "sheet.jpg"), 2)
    assert "must end in .png. Received: " in message


def test_a_report_replaces_a_report_and_no_other_page(trained: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<!DOCTYPE html>\n<title>mine</title>")
    assert FOREIGN in refused(retrain("report", trained, "--output", page), 2)
    assert "mine" in page.read_text()
    page.unlink()
    for _ in range(2):
        result = retrain("report", trained, "--output", page)
        assert result.returncode == 0, result.stderr
    message = refused(retrain("report", trained, "--output", tmp_path / "boat.jpg"), 2)
    assert "must end in .html. Received: " in message


@pytest.mark.parametrize("name", ["predictions.csv", "confusion.csv", "top-losses.png"])
def test_an_evaluation_replaces_an_evaluation_and_nothing_else(
    name: str, trained: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        result = retrain("evaluate", trained, "--output", tmp_path)
        assert result.returncode == 0, result.stderr
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["confusion.csv", "predictions.csv", "top-losses.png"]
    for path in tmp_path.iterdir():
        path.unlink()
    mine = tmp_path / name
    mine.write_text("path,label\nboat.jpg,boat\n")
    assert f"Received: {mine}, {FOREIGN}" in refused(
        retrain("evaluate", trained, "--output", tmp_path), 2
    )
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [
        (mine, "path,label\nboat.jpg,boat\n")
    ]


def test_what_a_training_found_is_not_written_over(trained: Path) -> None:
    before = (trained / "model" / "predictions.csv").read_bytes()
    message = refused(retrain("evaluate", trained, "--output", trained / "model"), 2)
    assert "What a training wrote is not overwritten." in message
    assert (trained / "model" / "predictions.csv").read_bytes() == before


@pytest.mark.parametrize("command", ["evaluate", "explain"])
def test_drawings_do_not_become_training_pictures(command: str, trained: Path) -> None:
    picture = trained / "data" / "disc" / "disc-000.jpg"
    more = (picture,) if command == "explain" else ()
    place = trained / "data" / "drawn"
    message = refused(retrain(command, trained, *more, "--output", place), 2)
    assert "Output must not lie among the pictures" in message
    assert not place.exists()
