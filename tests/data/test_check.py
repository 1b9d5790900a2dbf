"""The check before training: who is left out, and why."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from pictures import draw, write_jpegs
from retrain.data.check import AHEAD, check
from retrain.data.images import PixelRules
from retrain.data.seen import SeenFiles
from retrain.data.sources import open_data
from retrain.errors import UsageError

RULES = PixelRules(16, "squash")


def test_bad_files_are_listed_and_the_others_keep_their_order(tmp_path: Path) -> None:
    good = write_jpegs(tmp_path, "disc", 5) + write_jpegs(tmp_path, "stripes", 5)
    (tmp_path / "disc" / "disc-001b.jpg").write_text("this is not a picture")
    (tmp_path / "disc" / "empty.png").touch()
    (tmp_path / "stripes" / "half.jpg").write_bytes(good[0].read_bytes()[:700])
    (tmp_path / "stripes" / "notes.txt").write_text("mine")

    pictures, skipped = check(open_data(tmp_path), RULES)

    assert [picture.path for picture in pictures] == good
    assert [picture.category for picture in pictures] == ["disc"] * 5 + ["stripes"] * 5
    assert [bad.name for bad in skipped] == [
        "disc/disc-001b.jpg",
        "disc/empty.png",
        "stripes/half.jpg",
        "stripes/notes.txt",
    ]
    reasons = ("no picture format", "empty file", "truncated", "no picture format")
    for bad, reason in zip(skipped, reasons, strict=True):
        assert reason in bad.reason.lower()


def test_a_check_changes_no_file(tmp_path: Path) -> None:
    write_jpegs(tmp_path, "disc", 2)
    (tmp_path / "disc" / "bad.jpg").write_text("bad")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")}
    check(open_data(tmp_path), RULES)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")} == before


def test_all_bad_leaves_no_pictures_and_every_reason(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    for i in range(3):
        (tmp_path / "cat" / f"{i}.jpg").write_text("bad")
    pictures, skipped = check(open_data(tmp_path), RULES)
    assert pictures == []
    assert [bad.name for bad in skipped] == ["cat/0.jpg", "cat/1.jpg", "cat/2.jpg"]


def test_identical_content_has_the_same_key(tmp_path: Path) -> None:
    first = write_jpegs(tmp_path, "disc", 2)[0]
    shutil.copy(first, tmp_path / "disc" / "copy of it.png")
    pictures, _ = check(open_data(tmp_path), RULES)
    keys = {picture.path.name: picture.key for picture in pictures}
    assert keys["copy of it.png"] == keys["disc-000.jpg"] != keys["disc-001.jpg"]
    assert keys["disc-000.jpg"] == hashlib.sha256(first.read_bytes()).hexdigest()


def test_groups_and_given_sides_are_passed_on(tmp_path: Path) -> None:
    for name in ("farm1_a.jpg", "farm1_b.jpg", "farm2_a.jpg", "x_nohash_1.jpg"):
        draw("disc", len(name)).save(tmp_path / name)
    (tmp_path / "labels.csv").write_text(
        "path,label,split,group\nfarm1_a.jpg,cat,train,\nfarm1_b.jpg,cat,,mine\n"
        "farm2_a.jpg,cat,test,\nx_nohash_1.jpg,cat,,\n"
    )
    pictures, _ = check(open_data(tmp_path), RULES, group_by=r"^farm\d")
    assert [picture.key for picture in pictures] == [
        "group:farm1",
        "group:mine",
        "group:farm2",
        "group:x",
    ]
    assert [picture.side for picture in pictures] == ["train", None, "test", None]


def test_a_group_by_that_is_no_expression_is_a_usage_error(tmp_path: Path) -> None:
    write_jpegs(tmp_path, "disc", 1)
    with pytest.raises(UsageError, match="Groups are found by a regular"):
        check(open_data(tmp_path), RULES, group_by="[")


def test_progress_counts_every_file(tmp_path: Path) -> None:
    write_jpegs(tmp_path, "disc", AHEAD + 5)
    (tmp_path / "disc" / "bad.jpg").write_text("bad")
    steps: list[int] = []
    check(open_data(tmp_path), RULES, advance=steps.append)
    assert steps == [1] * (AHEAD + 6)


# --- what is remembered


def test_what_decoded_is_not_decoded_again(tmp_path: Path) -> None:
    first, second = write_jpegs(tmp_path / "data", "disc", 2)
    memory = tmp_path / "bottlenecks" / "checked.sqlite"
    data = open_data(tmp_path / "data")
    before, _ = check(data, RULES, memory=memory)
    seen = SeenFiles(memory)
    stamp, known = seen.look_up("disc/disc-000.jpg", first)
    assert known == before[0].sha256
    assert stamp is not None
    seen.put("disc/disc-000.jpg", stamp, "ab" * 32)  # what no file has
    seen.close()
    shutil.copy2(second, tmp_path / "third.jpg")
    (tmp_path / "third.jpg").replace(second)
    after, _ = check(data, RULES, memory=memory)
    assert [picture.sha256 for picture in after] == ["ab" * 32, before[1].sha256]


def test_a_file_that_changed_is_decoded_again(tmp_path: Path) -> None:
    (path,) = write_jpegs(tmp_path / "data", "disc", 1)
    memory = tmp_path / "checked.sqlite"
    data = open_data(tmp_path / "data")
    check(data, RULES, memory=memory)
    times = path.stat()
    path.write_bytes(bytes(times.st_size))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert [bad.name for bad in check(data, RULES, memory=memory)[1]] == ["disc/disc-000.jpg"]


def test_a_file_from_the_far_future_is_checked_like_any_other(tmp_path: Path) -> None:
    (path,) = write_jpegs(tmp_path / "data", "disc", 1)
    os.utime(path, (13_600_000_000, 13_600_000_000))
    for _ in range(2):
        pictures, _ = check(open_data(tmp_path / "data"), RULES, memory=tmp_path / "checked.sqlite")
        assert len(pictures) == 1


@pytest.mark.parametrize("damage", ["no database", "SQLite format 3\0"])
def test_a_memory_that_is_damaged_or_cannot_be_written_is_done_without(
    damage: str, tmp_path: Path
) -> None:
    write_jpegs(tmp_path / "data", "disc", 3)
    (tmp_path / "checked.sqlite").write_text(damage * 300)
    for memory in (tmp_path / "checked.sqlite", tmp_path / "data" / "disc" / "disc-000.jpg" / "x"):
        assert len(check(open_data(tmp_path / "data"), RULES, memory=memory)[0]) == 3
