"""What people say of pictures: written down at once, read on top of folders, taken back."""

import multiprocessing
from pathlib import Path

import pytest

from disks import disk
from retrain.data.corrections import (
    COLUMNS,
    Correction,
    Corrections,
    What,
    add_corrections,
    correct,
    read_corrections,
    take_back_last,
)
from retrain.data.records import Picture
from retrain.errors import DataError, MachineError


def content(number: int) -> str:
    return f"{number:064x}"


def choice(number: int, what: What = "other category", category: str = "dog") -> Correction:
    return Correction(content(number), f"cat/{number}.jpg", what, category)


def picture(number: int, category: str = "cat") -> Picture:
    name = f"{category}/{number}.jpg"
    return Picture(Path("/data") / name, name, category, content(number), content(number))


def test_without_a_file_nothing_is_corrected(tmp_path: Path) -> None:
    corrections = read_corrections(tmp_path / "corrections.csv")
    assert corrections == Corrections()
    assert correct([picture(1)], corrections).pictures == [picture(1)]
    assert correct([picture(1)], corrections).in_words() == ""


def test_what_was_chosen_is_laid_over_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    add_corrections(path, [choice(1), choice(2, "left out", ""), choice(3, "not a mistake", "cat")])
    corrections = read_corrections(path)
    found = correct([picture(n) for n in range(5)], corrections)
    assert [(p.name, p.category) for p in found.pictures] == [
        ("cat/0.jpg", "cat"),
        ("cat/1.jpg", "dog"),
        ("cat/3.jpg", "cat"),
        ("cat/4.jpg", "cat"),
    ]
    assert [p.name for p in found.moved] == ["cat/1.jpg"]
    assert [p.name for p in found.left_out] == ["cat/2.jpg"]
    assert found.in_words() == (
        "Corrections: 1 picture counts as another category and 1 picture is left out "
        "(corrections.csv)."
    )
    assert corrections.is_right(content(3), "cat")
    assert not corrections.is_right(content(3), "dog")


def test_the_last_choice_about_a_content_holds(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    for one in (choice(1, "left out", ""), choice(1), choice(1, "not a mistake", "dog")):
        add_corrections(path, [one])
    said = read_corrections(path).of(content(1))
    assert (said.category, said.left_out, said.right) == ("dog", False, "dog")


def test_a_picture_that_lies_where_it_was_moved_to_is_no_longer_moved(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    add_corrections(path, [choice(1)])
    found = correct([picture(1, "dog")], read_corrections(path))
    assert (found.moved, [p.category for p in found.pictures]) == ([], ["dog"])


def test_choices_that_were_made_together_are_taken_back_together(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    add_corrections(path, [choice(1)])
    made = add_corrections(path, [choice(1, "left out", ""), choice(2)])
    assert take_back_last(path) == made
    assert [one.what for one in read_corrections(path).standing] == ["other category"]
    assert read_corrections(path).of(content(1)).category == "dog"
    assert len(take_back_last(path)) == 1
    assert read_corrections(path).said == {}
    assert take_back_last(path) == []
    assert len(path.read_text().splitlines()) == 7  # nothing that was written is gone


def test_odd_names_and_categories_come_back(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    for category in (
        'a "b", <c>',
        "new\nline",
        "عربي",
        b"caf\xe9".decode(errors="surrogateescape"),
    ):
        add_corrections(path, [Correction(content(1), "x\n\u202e.jpg", "other category", category)])
        assert read_corrections(path).of(content(1)).category == category


@pytest.mark.parametrize("lost", range(1, 130))
def test_a_line_that_a_crash_cut_short_changes_nothing_and_hides_nothing(
    tmp_path: Path, lost: int
) -> None:
    path = tmp_path / "corrections.csv"
    add_corrections(path, [choice(1)])
    whole = path.stat().st_size
    add_corrections(path, [choice(2, category='a "quoted" dog')])
    path.write_bytes(path.read_bytes()[: max(whole, path.stat().st_size - lost)])
    add_corrections(path, [choice(3)])
    corrections = read_corrections(path)
    categories = {one.sha256: one.category for one in corrections.standing}
    assert categories.pop(content(1)) == "dog"
    assert categories.pop(content(3)) == "dog"
    assert set(categories.values()) <= {'a "quoted" dog'}


def add_many(path: Path, start: int) -> None:
    for number in range(start, start + 40):
        add_corrections(path, [choice(number)])


def test_two_writers_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add_many, args=(path, start)) for start in (0, 100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    corrections = read_corrections(path)
    assert (len(corrections.said), corrections.unreadable) == (120, [])


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    with disk(tmp_path / "small", "size=64k") as place:
        path = place / "corrections.csv"
        add_corrections(path, [choice(1)])
        before = path.read_bytes()
        with pytest.raises(MachineError, match="disk is full"):
            add_corrections(path, [choice(n) for n in range(10_000)])
        after = path.read_bytes()
    assert after == before


def test_another_table_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text("sha256;name;what\n")
    with pytest.raises(DataError, match="must begin with the columns sha256,name"):
        read_corrections(path)
    with pytest.raises(DataError, match="move it away"):
        add_corrections(path, [choice(1)])
    assert path.read_text() == "sha256;name;what\n"


def test_what_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    row = (content(1), "cat/1.jpg", "other category", "dog", "2026-11-26")
    path.write_text("\n".join(map(",".join, (COLUMNS, row))), encoding="utf-8-sig")
    assert read_corrections(path).of(content(1)).category == "dog"
    add_corrections(path, [choice(2)])
    assert [one.name for one in read_corrections(path).records] == ["cat/1.jpg", "cat/2.jpg"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (
            "9f86d08...,cat/1.jpg,left out,,2026",
            "sha256 must be 64 hexadecimal digits. Received: '9f86d08...'.",
        ),
        (
            f"{content(1)},cat/1.jpg,burn it,,2026",
            "what must be one of other category, left out, not a mistake, taken back. "
            "Received: 'burn it'.",
        ),
        (
            f"{content(1)},cat/1.jpg,other category,,2026",
            "'other category' must come with a category. Received: none.",
        ),
        (
            f"{content(1)},cat/1.jpg,left out,,",
            "there must be a time in the column when. Received: none.",
        ),
        (f"{content(1)},cat/1.jpg", "there must be 5 cells. Received: 2."),
    ],
)
def test_a_line_that_says_nothing_is_named(tmp_path: Path, line: str, wrong: str) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{line}\n\n")
    corrections = read_corrections(path)
    assert corrections.said == {}
    assert corrections.unreadable == [f"corrections.csv line 2: {wrong}"]
