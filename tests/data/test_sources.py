"""What lies in a data folder, and what the program takes it for."""

import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from pictures import write_jpegs
from retrain.config import Fit
from retrain.data.check import check
from retrain.data.images import PixelRules
from retrain.data.records import Dataset, Side
from retrain.data.sources import open_data
from retrain.errors import DataError

FIT: Fit = "squash"
Spelling = Literal["NFC", "NFD"]


def fill(data: Path, *names: str) -> Path:
    """Make files below a folder; opening a folder reads no more than their first bytes."""
    for name in names:
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        start = b"" if path.suffix == ".txt" else b"\xff\xd8\xff"  # of a JPEG
        path.write_bytes(start + name.encode())
    return data


def label(data: Path, text: str | bytes) -> Path:
    """Write labels.csv."""
    data.mkdir(exist_ok=True)
    (data / "labels.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return data


def categories(dataset: Dataset) -> dict[str, str]:
    return {example.name: example.category for example in dataset.examples}


def sides(dataset: Dataset) -> dict[str, Side | None]:
    return {example.name: example.side for example in dataset.examples}


# --- category folders


def test_a_folder_is_a_category(tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, "cat/1.jpg", "dog/1.jpg", "dog/noext"))
    assert categories(data) == {"cat/1.jpg": "cat", "dog/1.jpg": "dog", "dog/noext": "dog"}
    assert sides(data) == dict.fromkeys(categories(data))
    assert data.drawable
    assert data.notes == ()
    assert data.skipped == ()
    assert all(example.path == tmp_path / example.name for example in data.examples)


def test_examples_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    names = ["b/2.jpg", "a/c.jpg", "b/1/9.jpg", "a b/1.jpg", "a/b/1.jpg"]
    data = open_data(fill(tmp_path, *names))
    assert [example.name for example in data.examples] == sorted(names)


def test_hidden_files_and_folders_are_ignored(tmp_path: Path) -> None:
    hidden = ["cat/.DS_Store", ".git/1.jpg", "cat/.thumbs/1.jpg", "cat/deep/.x/y/1.jpg", ".1.jpg"]
    data = open_data(fill(tmp_path, "cat/1.jpg", *hidden))
    assert categories(data) == {"cat/1.jpg": "cat"}
    assert data.notes == ()


def test_folders_inside_a_category_belong_to_it(tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, "cat/1.jpg", "cat/black/2.jpg", "cat/black/young/3.jpg"))
    assert set(categories(data).values()) == {"cat"}
    assert len(data.examples) == 3


def test_two_spellings_of_one_name_are_one_category(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    data = open_data(fill(tmp_path, f"{composed}/1.jpg", f"{decomposed}/2.jpg"))
    assert [example.category for example in data.examples] == [composed] * 2
    assert all(example.path.is_file() for example in data.examples)


def test_names_are_otherwise_as_the_user_wrote_them(tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, "Sp ace é中/1.jpg", "sp ace é中/1.jpg"))
    assert {"Sp ace é中"} <= set(categories(data).values()) <= {"Sp ace é中", "sp ace é中"}


def test_an_empty_category_is_noted(tmp_path: Path) -> None:
    (tmp_path / "bird").mkdir()
    data = open_data(fill(tmp_path, "cat/1.jpg"))
    assert categories(data) == {"cat/1.jpg": "cat"}
    assert ["'bird'" in note and "empty" in note for note in data.notes] == [True]


def test_loose_files_are_noted(tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, "cat/1.jpg", "loose.jpg", "readme.txt"))
    assert categories(data) == {"cat/1.jpg": "cat"}
    assert ["2 files" in note for note in data.notes] == [True]


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", "1.jpg", "more/2.jpg")
    data = fill(tmp_path / "data", "dog/1.jpg")
    (data / "cat").symlink_to(tmp_path / "elsewhere")
    (data / "dog" / "more").symlink_to(tmp_path / "elsewhere" / "more")
    (data / "dog" / "3.jpg").symlink_to(tmp_path / "elsewhere" / "1.jpg")
    cats = dict.fromkeys(["cat/1.jpg", "cat/more/2.jpg"], "cat")
    expected = cats | dict.fromkeys(["dog/1.jpg", "dog/3.jpg", "dog/more/2.jpg"], "dog")
    assert categories(open_data(data)) == expected


@pytest.mark.parametrize("target", [".", "..", "../..", "deep", "deep/deeper"])
def test_a_loop_of_links_ends_and_repeats_nothing(tmp_path: Path, target: str) -> None:
    data = fill(tmp_path / "data", "cat/1.jpg", "cat/deep/deeper/2.jpg", "dog/3.jpg")
    (data / "cat" / "deep" / "deeper" / "loop").symlink_to((data / "cat" / target).resolve())
    expected = {"cat/1.jpg": "cat", "cat/deep/deeper/2.jpg": "cat", "dog/3.jpg": "dog"}
    assert categories(open_data(data)) == expected


def test_a_dangling_link_is_reported_by_the_check(tmp_path: Path) -> None:
    write_jpegs(tmp_path, "disc", 1)
    (tmp_path / "disc" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    _, skipped = check(open_data(tmp_path), PixelRules(16, FIT))
    assert [(bad.name, bad.reason) for bad in skipped] == [
        ("disc/gone.jpg", f"a link to {tmp_path / 'nowhere.jpg'}, which is not there")
    ]


# --- a ready-made split


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train", "valid", "test"), ("train", "validation", "test")),
        (("training", "val"), ("train", "validation")),
        (("train", "validation"), ("train", "validation")),
        (("train", "test"), ("train", "test")),
        (("Train", "Test"), ("train", "test")),
        (("TRAINING", "dev", "Testing"), ("train", "validation", "test")),
    ],
)
def test_a_ready_made_split_stands_and_nothing_is_drawn(
    tmp_path: Path, names: tuple[str, ...], expected: tuple[Side, ...]
) -> None:
    files = [f"{side}/{category}/1.jpg" for side in names for category in ("cat", "dog")]
    data = open_data(fill(tmp_path, *files))
    wanted = dict(zip(names, expected, strict=True))
    assert sides(data) == {name: wanted[name.split("/")[0]] for name in files}
    assert categories(data) == {name: name.split("/")[1] for name in files}
    assert not data.drawable


def test_a_folder_beside_a_ready_made_split_is_noted(tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, "train/cat/1.jpg", "valid/cat/2.jpg", "raw/cat/3.jpg"))
    assert set(categories(data)) == {"train/cat/1.jpg", "valid/cat/2.jpg"}
    assert ["'raw'" in note for note in data.notes] == [True]


@pytest.mark.parametrize(
    "files",
    [
        ("train/1.jpg", "car/1.jpg", "bus/1.jpg"),
        ("train/steam/1.jpg", "car/1.jpg"),
    ],
)
def test_without_training_pictures_in_sub_folders_and_a_side_beside_all_are_categories(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    data = open_data(fill(tmp_path, *files))
    shown = [name for name in files if "/." not in name]
    assert categories(data) == {name: name.split("/")[0] for name in shown}
    assert set(sides(data).values()) == {None}


@pytest.mark.parametrize(
    ("files", "received"),
    [
        (("train/1.jpg", "test/1.jpg"), "test (1 file, 0 folders), train (1 file, 0 folders)"),
        (("Training/1.jpg", "Testing/1.jpg"), "Testing (1 file, 0 folders), Training (1 file, 0 f"),
        (("train/1.jpg", "test/cat/1.jpg"), "test (0 files, 1 folder), train (1 file, 0 folders)"),
        (("valid/cat/1.jpg", "test/cat/1.jpg"), "test (0 files, 1 folder), valid (0 files, 1 fol"),
        (("train/cat/.x.jpg", "train/1.jpg", "val/cat/1.jpg"), "train (1 file, 1 folder), val (0 "),
        (("train/1.jpg", "train/2.jpg"), "Received: train (2 files, 0 folders)."),
        (("archive/TRAIN/1.jpg", "archive/VAL/1.jpg"), "TRAIN (1 file, 0 folders), VAL (1 file, 0"),
    ],
)
def test_sides_of_a_split_are_never_taken_for_all_the_categories(
    tmp_path: Path, files: tuple[str, ...], received: str
) -> None:
    with pytest.raises(DataError, match=re.escape(received)) as error:
        open_data(fill(tmp_path, *files))
    assert "/train/cat/1.jpg" in str(error.value)


def test_two_sides_among_other_categories_are_said(tmp_path: Path) -> None:
    data = open_data(fill(tmp_path, "train/1.jpg", "test/1.jpg", "bus/1.jpg"))
    assert set(categories(data).values()) == {"train", "test", "bus"}
    assert data.notes == ("'test', 'train': taken for categories, not for sides of a split.",)


def test_files_beside_the_categories_of_a_split_are_noted(tmp_path: Path) -> None:
    files = ("train/cat/1.jpg", "train/dog/1.jpg", "train/x.jpg", "test/1.jpg", "test/2.jpg")
    data = open_data(fill(tmp_path, *files, "readme.txt"))
    assert set(categories(data)) == {"train/cat/1.jpg", "train/dog/1.jpg"}
    assert sorted(note.split(" without")[0] for note in data.notes) == [
        f"1 file in {tmp_path} itself",
        f"1 file in {tmp_path / 'train'} itself",
        f"2 files in {tmp_path / 'test'} itself",
    ]


# --- a folder that wraps everything


@pytest.mark.parametrize("wrap", ["archive", "archive/flowers", "a/b/c/d", "train"])
@pytest.mark.parametrize(
    "files",
    [
        {"rose/1.jpg": None, "tulip/1.jpg": None},
        {"train/rose/1.jpg": "train", "val/rose/2.jpg": "validation"},
    ],
)
def test_a_folder_that_holds_everything_is_seen_through_and_said(
    tmp_path: Path, wrap: str, files: dict[str, Side | None]
) -> None:
    inside = [f"{wrap}/{name}" for name in files]
    data = open_data(fill(tmp_path, *inside, f"{wrap}/readme.txt", "__MACOSX/x/1.jpg"))
    assert sides(data) == dict(zip(inside, files.values(), strict=True))
    assert set(categories(data).values()) <= {"rose", "tulip"}
    assert data.notes[0] == f"The folder {wrap!r} holds everything: it is taken for the data."
    assert all(example.path == tmp_path / example.name for example in data.examples)


def test_labels_csv_is_found_in_a_folder_that_holds_everything(tmp_path: Path) -> None:
    fill(tmp_path, "archive/images/1.jpg")
    label(tmp_path / "archive", "path,label\nimages/1.jpg,cat\nx.jpg,\n")
    data = open_data(tmp_path)
    assert categories(data) == {"archive/images/1.jpg": "cat"}
    assert data.examples[0].path.is_file()
    assert [bad.name for bad in data.skipped] == ["archive/x.jpg"]


@pytest.mark.parametrize(
    "files",
    [
        ("cat/1.jpg", "cat/black/2.jpg", "cat/white/3.jpg"),
        ("cat/1.jpg", "cat/2.jpg"),
    ],
)
def test_an_only_category_is_no_wrapping_folder(tmp_path: Path, files: tuple[str, ...]) -> None:
    data = open_data(fill(tmp_path, *files))
    assert categories(data) == dict.fromkeys(files, "cat")
    assert data.notes == ()


def test_a_folder_that_holds_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    with pytest.raises(DataError, match="No pictures"):
        open_data(tmp_path)


# --- what is nobody's


JUNK = ("Thumbs.db", "desktop.ini", ".DS_Store", "@eaDir", "#recycle", "$RECYCLE.BIN", "__MACOSX")


@pytest.mark.parametrize("change", [str, str.lower, str.upper])
def test_what_systems_leave_behind_is_nobodys_picture_and_nobodys_category(
    tmp_path: Path, change: Callable[[str], str]
) -> None:
    junk = [change(name) for name in JUNK]
    fill(tmp_path, "cat/1.jpg", *(f"{name}/1.jpg" for name in junk), *(f"cat/{n}" for n in junk))
    data = open_data(tmp_path)
    assert categories(data) == {"cat/1.jpg": "cat"}
    assert data.notes == ()


# --- labels.csv


def test_labels_csv_gives_categories_sides_and_groups(tmp_path: Path) -> None:
    rows = "path,label,split,group\na.jpg,cat,train,g1\nb.jpg,dog,val,\nc.jpg,dog,,g1\n"
    data = open_data(label(tmp_path, rows))
    found = [(e.name, e.category, e.side, e.group) for e in data.examples]
    assert found == [
        ("a.jpg", "cat", "train", "g1"),
        ("b.jpg", "dog", "validation", None),
        ("c.jpg", "dog", None, "g1"),
    ]
    assert data.drawable


def test_labels_csv_goes_before_folders(tmp_path: Path) -> None:
    data = open_data(label(fill(tmp_path, "cat/1.jpg", "dog/2.jpg"), "path,label\ncat/1.jpg,dog\n"))
    assert categories(data) == {"cat/1.jpg": "dog"}


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfpath,label\r\na.jpg,caf\xc3\xa9\r\n",
        "path;label\na.jpg;café\n",
        "\ufeffPath; Label ;Note\n a.jpg ; café ;red, white; and more\n",
        'label,path\n"café","a.jpg"\n\n',
        "path,label\na.jpg,cafe\u0301\n",
        "path,label\n,dog\n\na.jpg,café",
    ],
)
def test_what_spreadsheets_make_of_a_csv_is_understood(tmp_path: Path, text: str | bytes) -> None:
    assert categories(open_data(label(tmp_path, text))) == {"a.jpg": "café"}


@pytest.mark.parametrize(
    ("splits", "expected", "drawable"),
    [
        (("", ""), (None, None), True),
        (("train", "TRAIN"), ("train", "train"), False),
        (("train", "test"), ("train", "test"), False),
        (("", "test"), (None, "test"), False),
        (("", "validation"), (None, "validation"), True),
        (("train", "valid"), ("train", "validation"), False),
        (("train", ""), ("train", None), True),
    ],
)
def test_blank_splits_are_left_to_the_draw_unless_there_is_a_test(
    tmp_path: Path,
    splits: tuple[str, str],
    expected: tuple[Side | None, Side | None],
    drawable: bool,
) -> None:
    rows = "".join(f"{i}.jpg,cat,{split}\n" for i, split in enumerate(splits))
    data = open_data(label(tmp_path, f"path,label,split\n{rows}"))
    assert tuple(sides(data).values()) == expected
    assert data.drawable == drawable


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,split\na.jpg,cat,train\nb.jpg,cat,holdout\n", "line 3: .*'holdout'"),
        ("path,category\na.jpg,cat\n", "columns path,label.*'path,category'"),
        ("a.jpg,cat\n", "columns path,label"),
        ("", "columns path,label"),
        (b"path,label\na.jpg,caf\xe9\n", "UTF-8"),
        ('path,label\na.jpg,cat\nb.jpg,"dog\nc.jpg,cat\n', "line 3: .*quotes"),
        ('path,label\na.jpg,"dog\n' + "c.jpg,cat\n" * 20_000, "line 2: .*quotes"),
        ('"path,label\na.jpg,dog\n', "line 1: .*quotes"),
        ("path,label\n", "No pictures"),
    ],
)
def test_a_csv_that_cannot_be_understood_says_where(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message) as error:
        open_data(label(tmp_path, text))
    assert error.value.exit_code == 3


@pytest.mark.parametrize(("written", "lying"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_labels_csv_finds_a_name_whose_accents_are_spelled_otherwise(
    tmp_path: Path, written: Spelling, lying: Spelling
) -> None:
    on_disk = unicodedata.normalize(lying, "café/é.jpg")
    fill(tmp_path, on_disk)
    data = open_data(
        label(tmp_path, f"path,label\n{unicodedata.normalize(written, on_disk)},cat\n")
    )
    assert categories(data) == {on_disk: "cat"}
    assert data.examples[0].path.is_file()
    assert data.notes == ()


def test_labels_csv_prefers_the_very_name(tmp_path: Path) -> None:
    names = [unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD")]
    rows = "".join(f"{name},{i}\n" for i, name in enumerate(names))
    data = open_data(label(fill(tmp_path, *names), f"path,label\n{rows}"))
    assert categories(data) == {names[0]: "0", names[1]: "1"}


def test_what_labels_csv_does_not_name_is_counted(tmp_path: Path) -> None:
    fill(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg", "sub/Thumbs.db", "sub/.hidden")
    data = open_data(label(tmp_path, "path,label\n./a.jpg,cat\n"))
    assert data.notes == ("labels.csv does not name 2 files, such as 'b.jpg': left out.",)
    data = open_data(label(tmp_path, "path,label\na.jpg,cat\nsub//c.jpg,dog\n"))
    assert data.notes == ("labels.csv does not name 'b.jpg': left out.",)


def test_a_row_without_a_label_is_skipped_by_line(tmp_path: Path) -> None:
    data = open_data(label(tmp_path, "path,label\na.jpg,cat\nb.jpg,\nc.jpg\n"))
    assert categories(data) == {"a.jpg": "cat"}
    assert [bad.name for bad in data.skipped] == ["b.jpg", "c.jpg"]
    assert ["line 3" in bad.reason for bad in data.skipped] == [True, False]


def test_a_missing_file_is_left_to_the_check(tmp_path: Path) -> None:
    present = write_jpegs(tmp_path, "disc", 1)[0].relative_to(tmp_path).as_posix()
    data = open_data(label(tmp_path, f"path,label\ngone.jpg,cat\n{present},cat\nx.jpg,\n"))
    pictures, skipped = check(data, PixelRules(16, FIT))
    assert [picture.name for picture in pictures] == [present]
    assert [(bad.name, bad.reason) for bad in skipped] == [
        ("gone.jpg", "No such file or directory"),
        ("x.jpg", "labels.csv line 4: no label"),
    ]


def test_backslashes_part_folders(tmp_path: Path) -> None:
    data = open_data(label(fill(tmp_path, "sub/a.jpg"), "path,label\nsub\\a.jpg,cat\n"))
    assert [example.name for example in data.examples] == ["sub/a.jpg"]
    assert data.examples[0].path.is_file()


@pytest.mark.parametrize("name", ["../../x", "red\npanda", "a/b", ".", "semi;colon", 'quo"te'])
def test_any_text_can_be_a_category_and_touches_no_file(tmp_path: Path, name: str) -> None:
    quoted = name.replace('"', '""')
    data = open_data(label(tmp_path / "data", f'path,label\n"a.jpg","{quoted}"\nb.jpg,cat\n'))
    assert categories(data) == {"a.jpg": name, "b.jpg": "cat"}
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


# --- nothing to train on


@pytest.mark.parametrize("files", [(), (".loose.jpg",), ("cat/.hidden.jpg",)])
def test_a_folder_without_pictures_says_where_they_belong(
    tmp_path: Path, files: tuple[str, ...]
) -> None:
    with pytest.raises(DataError, match=r"No pictures in .*one folder a category") as error:
        open_data(fill(tmp_path, *files))
    assert error.value.exit_code == 3


def test_no_folder_says_which_to_make(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"one folder a category. Received: no such") as error:
        open_data(tmp_path / "data")
    assert error.value.exit_code == 3


def test_a_data_folder_that_is_a_broken_link_says_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(tmp_path / "other disk")
    with pytest.raises(DataError, match=f"Received: a link to {tmp_path / 'other disk'}, which"):
        open_data(tmp_path / "data")


def test_a_category_that_is_a_broken_link_is_noted(tmp_path: Path) -> None:
    fill(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "fox").symlink_to(tmp_path / "other disk")
    reason = f"fox is a link to {tmp_path / 'other disk'}, which is not there"
    assert open_data(tmp_path).notes == (f"{reason}: left out.",)


def test_a_category_that_is_not_utf8_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    write_jpegs(tmp_path, "disc", 1)
    (tmp_path / os.fsdecode(b"caf\xe9")).mkdir()
    shutil.copy(tmp_path / "disc" / "disc-000.jpg", tmp_path / os.fsdecode(b"caf\xe9"))
    with pytest.raises(DataError, match=r"must be UTF-8. Received: 'caf\\udce9'"):
        open_data(tmp_path)
