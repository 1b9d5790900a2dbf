"""Folders, archives and tables come into the layout: all of it, once, and nothing over a file."""

import csv
import io
import json
import os
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from commands import like_anyone, refused, retrain
from disks import disk
from pictures import draw, encoded, with_orientation, write_jpegs
from retrain.data.images import decode
from retrain.errors import DataError
from retrain.gather import archives


def jpeg(category: str, seed: int) -> bytes:
    return encoded(draw(category, seed), "JPEG")


def tree(root: Path) -> dict[str, bytes]:
    data = root / "data"
    return {p.relative_to(data).as_posix(): p.read_bytes() for p in data.rglob("*") if p.is_file()}


def journal(root: Path) -> list[dict[str, str]]:
    with (root / "sources.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def imported(*line: str | Path, code: int = 0) -> Any:
    result = retrain("import", *line, "--json")
    assert result.returncode == code, result.stderr
    return json.loads(result.stdout)


def reasons(found: Any) -> dict[str, str]:
    return {Path(bad["name"]).name: bad["reason"] for bad in found["skipped"]}


def test_a_folder_of_categories_is_copied_and_stays_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "some photos"
    for category in ("disc", "stripes"):
        write_jpegs(source, category, 3)
    (source / "disc" / "note.txt").write_text("not a picture")
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    found = imported(tmp_path / "tf", source, code=6)
    assert found["new"] == {"disc": 3, "stripes": 3}
    assert list(reasons(found)) == ["note.txt"]
    written = tree(tmp_path / "tf")
    assert written["disc/disc-000.jpg"] == (source / "disc" / "disc-000.jpg").read_bytes()
    assert len(written) == 6
    assert before == {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    again = imported(tmp_path / "tf", source, code=6)
    assert (again["new"], again["before"]) == ({}, 6)
    assert tree(tmp_path / "tf") == written


@pytest.mark.parametrize("options", [(), ("--category", "boat"), ("--dry-run",)])
def test_a_source_that_is_not_there_is_named(tmp_path: Path, options: tuple[str, ...]) -> None:
    write_jpegs(tmp_path / "photos", "disc", 1)
    (tmp_path / "link").symlink_to("unplugged")
    for name in ("nowhere", "nofile.zip", "nothere.csv", "photos/disc/disc-000.jpg/more"):
        result = retrain("import", "tf", "photos", name, *options, cwd=tmp_path)
        assert refused(result, 3) == (
            f"retrain: There is no {name}. Name a folder, an archive, a table or a JSON file that "
            "exists."
        )
    result = retrain("import", "tf", "link", *options, cwd=tmp_path)
    assert "link is a link to unplugged, which is not there." in refused(result, 3)
    assert not (tmp_path / "tf").exists()


def test_pictures_without_categories_say_what_can_tell_them(tmp_path: Path) -> None:
    flat, flat_zip = tmp_path / "holiday", tmp_path / "holiday.zip"
    for i in range(4):
        flat.mkdir(exist_ok=True)
        (flat / f"boat_{i}.jpg").write_bytes(jpeg("disc", i))
    with zipfile.ZipFile(flat_zip, "w") as archive:
        for path in flat.iterdir():
            archive.write(path, path.name)
    remedy = (
        "If all are of one category, add --category NAME; if their names tell it, --labels-from "
        r"'(?P<category>[a-z]+)_\d+'; else sort them into folders."
    )
    for source in (flat, flat_zip):
        said = refused(retrain("import", tmp_path / "tf", source), 3)
        assert said == f"retrain: {source} holds 4 pictures but no category folders. {remedy}"
    (flat / "boat").mkdir()
    said = refused(retrain("import", tmp_path / "tf", flat), 3)
    assert "holds 4 pictures but none in a category folder. If all" in said
    named = imported(tmp_path / "tf", flat, "--labels-from", r"(?P<category>[a-z]+)_\d+")
    assert named["new"] == {"boat": 4}


@pytest.mark.parametrize("option", ["--path-column", "--label-column", "--images"])
def test_what_is_said_of_a_table_needs_one(tmp_path: Path, option: str) -> None:
    write_jpegs(tmp_path / "photos", "disc", 1)
    (tmp_path / "tasks.json").write_text("[]")
    others = ("photos",) if option == "--images" else ("photos", "tasks.json")
    said = refused(retrain("import", "tf", *others, option, "photos", cwd=tmp_path), 2)
    assert said.endswith(f"do not go together. Received: {', '.join(others)}. See {option}.")
    assert not (tmp_path / "tf").exists()


@pytest.mark.parametrize("options", [(), ("--category", "boat")])
def test_a_source_that_cannot_be_read_is_named(tmp_path: Path, options: tuple[str, ...]) -> None:
    write_jpegs(tmp_path / "locked", "disc", 1)
    table = tmp_path / "table.csv"
    table.touch()
    inside = tmp_path / "locked" / "disc"
    for path, name in ((tmp_path / "locked", inside), (inside, inside), (table, table)):
        path.chmod(0)
        result = retrain("import", tmp_path / "tf", name, *options, under=like_anyone())
        path.chmod(0o700)
        assert refused(result, 8) == f"retrain: No permission to read {name}."


def test_a_file_of_that_name_is_never_overwritten(tmp_path: Path) -> None:
    write_jpegs(tmp_path / "tf" / "data", "disc", 1, start=0)
    mine = tree(tmp_path / "tf")["disc/disc-000.jpg"]
    source = tmp_path / "new"
    (source / "disc").mkdir(parents=True)
    (source / "disc" / "disc-000.jpg").write_bytes(jpeg("disc", 77))
    imported(tmp_path / "tf", source)
    assert tree(tmp_path / "tf") == {
        "disc/disc-000.jpg": mine,
        "disc/disc-000-2.jpg": jpeg("disc", 77),
    }


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    write_jpegs(tmp_path / "photos", "disc", 3)
    (tmp_path / "photos" / "disc" / "bad.jpg").write_text("bad")
    shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "photos")
    for source in ("photos", "photos.zip"):
        found = imported(tmp_path / "tf", tmp_path / source, "--dry-run")
        assert found["new"] == {"disc": 3}
        assert "bad.jpg" in reasons(found)
    assert not (tmp_path / "tf").exists()
    result = retrain("import", tmp_path / "tf", tmp_path / "photos", "--dry-run")
    assert result.stdout == "      3  disc\n      3  would be imported\n      1  left out\n"
    assert "Skipped" in result.stderr


def test_links_are_links_and_moves_move(tmp_path: Path) -> None:
    paths = write_jpegs(tmp_path / "photos", "disc", 2)
    imported(tmp_path / "linked", tmp_path / "photos", "--link")
    assert (tmp_path / "linked" / "data" / "disc" / paths[0].name).samefile(paths[0])
    imported(tmp_path / "moved", tmp_path / "photos", "--move")
    assert len(tree(tmp_path / "moved")) == 2
    assert not any(path.exists() for path in paths)
    for line in (("--link", "--move"), ("--link", "--max-size", "100")):
        refused(retrain("import", tmp_path / "x", tmp_path / "linked" / "data", *line), 2)


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_large_pictures_are_shrunk_upright(orientation: int, tmp_path: Path) -> None:
    exif = with_orientation(orientation)
    exif[ExifTags.Base.DateTime] = "2024:05:06 07:08:09"
    big = draw("disc", 1, (400, 200))
    (tmp_path / "p" / "disc").mkdir(parents=True)
    place = tmp_path / "p" / "disc"
    (place / "big.jpg").write_bytes(encoded(big, "JPEG", exif=exif, quality=95))
    (place / "small.jpg").write_bytes(jpeg("disc", 2))
    (place / "clear.png").write_bytes(encoded(big.convert("RGBA"), "PNG"))
    (place / "phone.heic").write_bytes(encoded(big, "HEIF"))
    upright = decode((place / "big.jpg").read_bytes())
    imported(tmp_path / "tf", tmp_path / "p", "--max-size", "160")
    written = tree(tmp_path / "tf")
    assert written["disc/small.jpg"] == jpeg("disc", 2)
    assert set(written) == {f"disc/{n}" for n in ("big.jpg", "small.jpg", "clear.png", "phone.jpg")}
    with Image.open(io.BytesIO(written["disc/big.jpg"])) as image:
        assert image.getexif()[ExifTags.Base.Orientation] == 1
        assert image.getexif()[ExifTags.Base.DateTime] == "2024:05:06 07:08:09"
        assert max(image.size) == 160
        assert (image.width > image.height) == (upright.width > upright.height)
    with Image.open(io.BytesIO(written["disc/clear.png"])) as image:
        assert (image.mode, image.size) == ("RGBA", (160, 80))


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_an_archive_that_wraps_its_folders_is_unpacked_and_leaves_nothing(tmp_path: Path) -> None:
    files = {f"set/{c}/{i}.jpg": jpeg(c, i) for c in ("disc", "stripes") for i in range(3)}
    zip_of(tmp_path / "set.zip", files | {"__MACOSX/._1.jpg": b"x"})
    with tarfile.open(tmp_path / "set.tar.xz", "w:xz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    for source in ("set.zip", "set.tar.xz"):
        root = tmp_path / f"tf {source}"
        assert imported(root, tmp_path / source)["new"] == {"disc": 3, "stripes": 3}
        assert sorted(tree(root).values()) == sorted(files.values())
        assert journal(root)[0]["source"] == f"{tmp_path / source}!set/disc/0.jpg"
        assert [path.name for path in root.glob(".*")] == [".sources.csv.lock"]


def test_what_an_archive_would_put_elsewhere_is_left_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside.jpg"
    files = {
        name: jpeg("disc", 1)
        for name in (
            "../outside.jpg",
            str(outside),
            "disc/../../outside.jpg",
            "C:/x.jpg",
            "d\\..\\..\\x",
        )
    }
    zip_of(tmp_path / "bad.zip", files | {"disc/good.jpg": jpeg("disc", 2)})
    found = imported(tmp_path / "tf", tmp_path / "bad.zip", code=6)
    assert found["new"] == {"disc": 1}
    assert {bad["reason"] for bad in found["skipped"]} == {"a path that leads out of the archive"}
    assert len(found["skipped"]) == 5
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        for name in ("../outside.jpg", "disc/good.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(jpeg("disc", 2))
            tar.addfile(info, io.BytesIO(jpeg("disc", 2)))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"disc/odd{ord(kind)}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    found = imported(tmp_path / "tf2", tmp_path / "bad.tar", code=6)
    assert found["new"] == {"disc": 1}
    assert sorted(bad["reason"] for bad in found["skipped"]) == [
        *("a link", "a link", "a path that leads out of the archive", "no regular file")
    ]
    assert not outside.exists()
    assert not (tmp_path / "tf2" / "outside.jpg").exists()


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "links.zip", "w") as archive:
        info = zipfile.ZipInfo("disc/link.jpg")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("disc/1.jpg", jpeg("disc", 1))
    assert reasons(imported(tmp_path / "tf", tmp_path / "links.zip", code=6)) == {
        "link.jpg": "a link"
    }


def test_a_bomb_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "ALLOWANCE", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(4):
            archive.writestr(f"disc/{i}.bmp", b"BM" + bytes(1 << 20))
    with (
        pytest.raises(DataError, match="20 times its size"),
        archives.unpacked(tmp_path / "bomb.zip", tmp_path),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["bomb.zip"]


def test_a_password_is_named(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "locked.zip", {"disc/1.jpg": jpeg("disc", 1)})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    path.write_bytes(content)
    assert "password" in refused(retrain("import", tmp_path / "tf", path), 3)


def test_of_a_damaged_archive_what_came_before_is_imported(tmp_path: Path) -> None:
    files = {f"disc/{i}.jpg": jpeg("disc", i) for i in range(20)}
    with tarfile.open(tmp_path / "cut.tar", "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    whole = (tmp_path / "cut.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    found = imported(tmp_path / "tf", tmp_path / "cut.tar", code=6)
    assert 8 <= found["new"]["disc"] <= 12
    assert any("damaged" in bad["reason"] for bad in found["skipped"])


def test_ten_thousand_tiny_files_are_no_trouble(tmp_path: Path) -> None:
    files = {f"disc/{i}.txt": b"x" for i in range(10_000)}
    zip_of(tmp_path / "many.zip", files | {"disc/1.jpg": jpeg("disc", 1)})
    found = imported(tmp_path / "tf", tmp_path / "many.zip", code=6)
    assert found["new"] == {"disc": 1}
    assert len(found["skipped"]) == 10_000


def test_paths_can_tell_categories_and_groups(tmp_path: Path) -> None:
    source = tmp_path / "flat"
    source.mkdir()
    for i in range(4):
        (source / f"film{i // 2}-{'ab'[i % 2]}-{i}.jpg").write_bytes(jpeg("disc", i))
    (source / "other.jpg").write_bytes(jpeg("disc", 9))
    expression = r"(?P<group>film\d)-(?P<category>\w)-"
    found = imported(tmp_path / "tf", source, "--labels-from", expression)
    assert found["new"] == {"a": 2, "b": 2}
    assert [row["group"] for row in journal(tmp_path / "tf")] == [
        "film0",
        "film0",
        "film1",
        "film1",
    ]


@pytest.mark.parametrize(
    ("expression", "code", "told"),
    [
        (r"(?P<kind>\w+)", 2, "(?P<category>"),
        (r"(?P<category>", 2, "regular expression"),
        (r"dog_(?P<category>\w+)", 3, "'disc/disc-000.jpg', 'disc/disc-001.jpg'"),
    ],
)
def test_an_expression_that_tells_nothing_is_refused_with_examples(
    expression: str, code: int, told: str, tmp_path: Path
) -> None:
    write_jpegs(tmp_path / "photos", "disc", 9)
    line = ("import", tmp_path / "tf", tmp_path / "photos", "--labels-from", expression)
    message = refused(retrain(*line), code)
    assert told in message
    assert message.endswith("See --labels-from.")
    assert "disc-005" not in message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_tables_of_any_separator_and_columns(encoding: str, line_end: str, tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg("disc", i))
    lines = ["Breed;Image", "poodle é;0.jpg", '"a;b";1', ";2.jpg", "x;9.jpg", "", "x;../up.jpg"]
    (tmp_path / "t.csv").write_bytes(line_end.join(lines).encode(encoding))
    found = imported(tmp_path / "tf", tmp_path / "t.csv", code=6)
    assert found["new"] == {"a;b": 1, "poodle é": 1}
    assert reasons(found) == {
        "2.jpg": "no label",
        "9.jpg": "no such file",
        "up.jpg": "no such file",
    }


def test_columns_can_be_named_and_paths_begin_elsewhere(tmp_path: Path) -> None:
    write_jpegs(tmp_path / "images", "disc", 1)
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(jpeg("disc", 5))
    (tmp_path / "images" / "link.jpg").symlink_to(secret)
    (tmp_path / "t.tsv").write_text("A\tB\ndisc/disc-000\tyes\n../secret.jpg\tno\nlink.jpg\tno\n")
    message = refused(retrain("import", tmp_path / "tf", tmp_path / "t.tsv"), 2)
    assert "Received: A, B" in message
    assert message.endswith("See --path-column.")
    line = ("--images", tmp_path / "images", "--path-column", "a", "--label-column", "b")
    found = imported(tmp_path / "tf", tmp_path / "t.tsv", *line, code=6)
    assert found["new"] == {"yes": 1}
    assert set(reasons(found).values()) == {f"outside of {tmp_path / 'images'}"}


def test_coco_with_one_category_an_image(tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg("disc", i))
    coco: dict[str, list[dict[str, Any]]] = {
        "images": [{"id": i, "file_name": f"{i}.jpg"} for i in range(4)],
        "categories": [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}],
        "annotations": [
            *({"image_id": 0, "category_id": 7}, {"image_id": 0, "category_id": 7}),
            *({"image_id": 1, "category_id": 8}, {"image_id": 2, "category_id": 7}),
            {"image_id": 2, "category_id": 8},
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    found = imported(tmp_path / "tf", tmp_path / "coco.json", code=6)
    assert found["new"] == {"cat": 1, "dog": 1}
    assert reasons(found) == {"2.jpg": "several categories: cat, dog", "3.jpg": "no label"}
    del coco["images"][0]["file_name"]
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    assert "file_name" in refused(retrain("import", tmp_path / "x", tmp_path / "coco.json"), 3)


def choice(*choices: str, **rest: Any) -> dict[str, Any]:
    return {"result": [{"type": "choices", "value": {"choices": list(choices)}}], **rest}


def test_label_studios_exports(tmp_path: Path) -> None:
    for i in range(5):
        (tmp_path / f"{i}.jpg").write_bytes(jpeg("disc", i))
    (tmp_path / "0a1b2c3d-5.jpg").write_bytes(jpeg("disc", 5))
    tasks = [
        {"data": {"image": "/data/upload/1/0a1b2c3d-0.jpg"}, "annotations": [choice("cat")]},
        {"data": {"image": "/data/upload/1/0a1b2c3d-5.jpg"}, "annotations": [choice("cat")]},
        {"data": {"image": "/data/local-files/?d=1.jpg"}, "annotations": [choice("dog")]},
        {"data": {"image": "2.jpg"}, "annotations": [choice("cat"), choice("dog")]},
        {
            "data": {"image": "3.jpg"},
            "annotations": [choice("cat"), choice("dog", was_cancelled=True)],
        },
        {"data": {"image": "4.jpg"}, "annotations": []},
        {"data": {"image": "https://example.org/6.jpg"}, "annotations": [choice("cat")]},
    ]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    found = imported(tmp_path / "tf", tmp_path / "export.json", code=6)
    assert found["new"] == {"cat": 3, "dog": 1}
    assert reasons(found) == {
        "2.jpg": "several categories: cat, dog",
        "4.jpg": "no label",
        "6.jpg": "an address; `retrain download` fetches it",
    }
    small = [{"image": "0.jpg", "choice": "cat"}, {"image": "1.jpg", "choice": {"choices": ["d"]}}]
    (tmp_path / "min.json").write_text(json.dumps(small))
    assert imported(tmp_path / "tf2", tmp_path / "min.json")["new"] == {"cat": 1, "d": 1}
    (tmp_path / "min.json").write_text('{"a": 1}')
    refused(retrain("import", tmp_path / "x", tmp_path / "min.json"), 3)


def test_a_ready_made_split_stays_one(tmp_path: Path) -> None:
    for side, start in (("train", 0), ("val", 10)):
        write_jpegs(tmp_path / "set" / side, "disc", 2, start)
    imported(tmp_path / "tf", tmp_path / "set")
    assert {name.rsplit("/", 1)[0] for name in tree(tmp_path / "tf")} == {
        "train/disc",
        "valid/disc",
    }
    write_jpegs(tmp_path / "more", "disc", 1, 20)
    imported(tmp_path / "tf", tmp_path / "more")  # goes to what is learned from
    assert "train/disc/disc-020.jpg" in tree(tmp_path / "tf")
    write_jpegs(tmp_path / "plain" / "data", "disc", 1, 30)
    message = refused(retrain("import", tmp_path / "plain", tmp_path / "set"), 3)
    assert "a split of its own" in message


def test_groups_of_a_labels_csv_and_of_another_workspace_are_kept(tmp_path: Path) -> None:
    one = tmp_path / "one"
    write_jpegs(one, "disc", 2)
    (one / "labels.csv").write_text(
        "path,label,group\ndisc/disc-000.jpg,a,g1\ndisc/disc-001.jpg,a,\n"
    )
    imported(tmp_path / "tf", one)
    assert [row["group"] for row in journal(tmp_path / "tf")] == ["g1", ""]
    imported(tmp_path / "second", tmp_path / "tf" / "data")
    assert [row["group"] for row in journal(tmp_path / "second")] == ["g1", ""]


def test_with_a_category_any_pictures_will_do_and_without_it_must_be_told(tmp_path: Path) -> None:
    path = write_jpegs(tmp_path / "deep" / "er", "disc", 2)[0]
    found = imported(tmp_path / "tf", tmp_path / "deep", path, "--category", "disc")
    assert (found["new"], found["before"]) == ({"disc": 2}, 1)
    assert "must be a folder" in refused(retrain("import", tmp_path / "tf", path), 3)


def test_the_data_folder_itself_is_not_imported(tmp_path: Path) -> None:
    write_jpegs(tmp_path / "data", "disc", 1)
    message = refused(retrain("import", tmp_path, tmp_path / "data" / "disc"), 2)
    assert "must lie elsewhere" in message


def test_a_full_disk_leaves_whole_pictures(tmp_path: Path) -> None:
    (tmp_path / "p" / "x").mkdir(parents=True)
    noise = [encoded(draw("noise", i, (60, 60)), "PNG") for i in range(20)]
    for i, content in enumerate(noise):
        (tmp_path / "p" / "x" / f"{i}.png").write_bytes(content)
    with disk(tmp_path / "disk", "size=100k") as root:
        message = refused(retrain("import", root, tmp_path / "p"), 8)
        assert "The disk is full" in message
        found = tree(root)
        assert found
        assert set(found.values()) <= set(noise)
        assert not list(root.rglob("*.part"))


def test_a_table_may_have_sides_and_groups(tmp_path: Path) -> None:
    write_jpegs(tmp_path, "disc", 3)
    lines = ["path,label,split,group", "disc/disc-000.jpg,a,test,", "disc/disc-001.jpg,a,,g"]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    imported(tmp_path / "tf", tmp_path / "labels.csv")
    assert set(tree(tmp_path / "tf")) == {"test/a/disc-000.jpg", "train/a/disc-001.jpg"}
    assert [row["group"] for row in journal(tmp_path / "tf")] == ["", "g"]


def test_a_picture_in_two_categories_is_named(tmp_path: Path) -> None:
    for category in ("disc", "ring"):
        (tmp_path / "p" / category).mkdir(parents=True)
        (tmp_path / "p" / category / "1.jpg").write_bytes(jpeg("disc", 1))
    found = imported(tmp_path / "tf", tmp_path / "p", code=6)
    assert found["new"] == {"disc": 1}
    assert "is in category 'disc' already" in found["skipped"][0]["reason"]


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    paths = write_jpegs(tmp_path / "p", "disc", 2)
    paths[0].write_bytes(paths[0].read_bytes()[:-300])
    os.mkfifo(tmp_path / "p" / "disc" / "pipe.jpg")
    found = imported(tmp_path / "tf", tmp_path / "p", code=6)
    assert found["new"] == {"disc": 1}
    assert set(reasons(found)) == {"disc-000.jpg", "pipe.jpg"}
