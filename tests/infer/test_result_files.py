"""results.csv and results.json between two runs: other programs' stay, people's additions too."""

import csv
import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from retrain.errors import MachineError
from retrain.infer.result_files import Table
from sorting import COLUMNS, NEXT_RUN, assert_sorted, bundle, copies, rows, sort, stamps

Cells = list[list[str]]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def change(dest: Path, edit: Callable[[Cells], Cells], encoding: str = "utf-8", **how: str) -> None:
    """Write results.csv anew as a spreadsheet might."""
    path = dest / "results.csv"
    with path.open(encoding="utf-8", newline="") as file:
        cells = edit([*csv.reader(file)])
    text = io.StringIO(newline="")
    csv.writer(text, **how).writerows(cells)  # type: ignore[arg-type]
    path.write_bytes(text.getvalue().encode(encoding))


def assert_nothing_is_done(trained: Path, src: Path, dest: Path) -> None:
    """Sort again: each copy is known, and stays the file that it was."""
    before = {path: stamp for path, stamp in stamps(dest).items() if path.suffix == ".jpg"}
    result = sort(trained, src, dest)
    assert (result.returncode, result.stdout) == (0, f"      0  copied to {dest}\n")
    assert result.stderr == "3 pictures were sorted before and are left as they are.\n"
    after = {path: stamp for path, stamp in stamps(dest).items() if path.suffix == ".jpg"}
    assert after == before


# --- of another program


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.csv", "name,accuracy\nresnet,0.9\n"),
        ("results.csv", "[1"),
        ("results.csv", "\n\nsource;copy\n"),
        ("results.json", '{"accuracy": 0.9}'),
        ("results.json", '{"resnet": {"accuracy": 0.9}}'),
        ("results.json", '[{"/a.jpg": {"cat": 0.9}}]'),
        ("results.json", "7"),
    ],
)
def test_results_of_another_program_are_refused_before_anything_is_done(
    name: str, text: str, trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    dest.mkdir()
    (dest / name).write_text(text)
    aside = ("--min-score", "0.9", "--unsure", str(tmp_path / "aside"))
    for options in ((), ("--dry-run",), aside):
        result = sort(trained, src, dest, *options)
        assert result.returncode == 2
        assert result.stderr.startswith(f"retrain: {name} in DEST must be one that guess-dir wrote")
        assert f"Received: {dest / name}, which starts with" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert contents(dest) == {name: text.encode()}
    assert not (tmp_path / "aside").exists()


def test_a_folder_in_the_place_of_results_is_refused(trained: Path, src: Path, dest: Path) -> None:
    (dest / "results.csv").mkdir(parents=True)
    result = sort(trained, src, dest)
    assert result.returncode == 2
    assert f"{dest / 'results.csv'} must be a file." in result.stderr


@pytest.mark.parametrize("text", ["", "\n"])
def test_empty_results_are_nobodys(text: str, trained: Path, src: Path, dest: Path) -> None:
    dest.mkdir()
    for name in ("results.csv", "results.json"):
        (dest / name).write_text(text)
    assert sort(trained, src, dest).returncode == 0
    assert_sorted(dest, *src.iterdir())


# --- from a spreadsheet


def test_a_byte_order_mark_semicolons_and_quotes_change_nothing(
    trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    table = (dest / "results.csv").read_bytes()
    for how in ({"delimiter": ";"}, {"lineterminator": "\n"}, {"quoting": csv.QUOTE_ALL}):
        change(dest, lambda cells: cells, "utf-8-sig", **how)
        assert_nothing_is_done(trained, src, dest)
        assert (dest / "results.csv").read_bytes() == table


@pytest.mark.parametrize("point", [".", ","])
def test_numbers_that_lost_digits_change_nothing(
    point: str, trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    scores = {row["source"]: row["score"] for row in rows(dest).values()}

    def spoil(cells: Cells) -> Cells:
        for line in cells[1:]:
            line[3] = f"{float(line[3]):.2g}".replace(".", point)
            line[6:] = [f"{float(line[6]):.0f}", f"{float(line[7]):.5E}".replace(".", point)] * 2
        return cells

    change(dest, spoil, delimiter=";" if point == "," else ",")
    assert re.search(r"1[.,]\d{5}E\+09", (dest / "results.csv").read_text())
    assert_nothing_is_done(trained, src, dest)
    assert {row["source"]: row["score"] for row in rows(dest).values()} == scores


def test_columns_in_another_order_are_the_same_columns(
    trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    before = rows(dest)
    change(dest, lambda cells: [line[::-1] for line in cells])
    assert_nothing_is_done(trained, src, dest)
    with (dest / "results.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        assert {row["source"]: row for row in reader} == before
        assert reader.fieldnames == COLUMNS[::-1]  # as the user likes it


def test_columns_and_notes_that_a_user_added_stay(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest)

    def annotate(cells: Cells) -> Cells:
        header, *lines = cells
        noted = [[f"note {Path(line[0]).stem}", *line] for line in lines]
        noted[1].append("no column has this")
        return [["my notes, é", *header], *noted]

    change(dest, annotate)
    (src / "new.jpg").write_bytes((src / "disc.jpg").read_bytes())
    (src / "squares.jpg").write_text("no picture any more")
    for workspace in (trained, bundle(trained, tmp_path / "bundle", run=NEXT_RUN)):
        assert sort(workspace, src, dest).returncode == 6
        with (dest / "results.csv").open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
        assert header == ["my notes, é", *COLUMNS, ""]
        stems = [Path(line[1]).stem for line in lines]
        assert stems == ["disc", "new", "squares", "stripes"]
        assert [line[0] for line in lines] == ["note disc", "", "note squares", "note stripes"]
        assert [line[-1] for line in lines] == ["", "", "no column has this", ""]


def test_a_category_that_a_user_corrected_stays(trained: Path, src: Path, dest: Path) -> None:
    sort(trained, src, dest)

    def correct(cells: Cells) -> Cells:
        cells[1][2] = "ball"
        return cells

    change(dest, correct)
    assert_nothing_is_done(trained, src, dest)
    assert rows(dest)[str(src / "disc.jpg")]["category"] == "ball"


def test_scores_in_another_layout_are_the_same_scores(trained: Path, src: Path, dest: Path) -> None:
    sort(trained, src, dest)
    path = dest / "results.json"
    scores = json.loads(path.read_text())
    path.write_text(json.dumps(scores, indent=4, sort_keys=True))
    assert_nothing_is_done(trained, src, dest)
    assert json.loads(path.read_text()) == scores


def test_a_file_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "results.csv").symlink_to("/proc/self/mem")  # whose first byte cannot be
    with pytest.raises(MachineError, match=r"results\.csv cannot be read: Input/output error"):
        Table(tmp_path)


def test_the_files_of_the_copies_are_noted(trained: Path, src: Path, dest: Path) -> None:
    for path in src.iterdir():
        os.utime(path, (1_700_000_000.5, 1_700_000_000.5))
    sort(trained, src, dest)
    for source, row in rows(dest).items():
        size = str(Path(source).stat().st_size)
        assert [row[name] for name in COLUMNS[6:10]] == [size, "1700000000"] * 2
    assert len(copies(dest)) == 3
