"""What becomes of copies that somebody edited, and of those whose sources are gone."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from commands import command, environment
from pictures import draw
from retrain.infer.guess_dir import SortedFolder
from retrain.infer.names import blind
from sorting import NEW, NEXT_RUN, assert_sorted, bundle, copies, rows, sort, stamps

EDITED = "1 copy that may have been edited stays as it is: "


def copy_of(dest: Path, source: Path) -> Path:
    return dest / rows(dest)[str(source)]["copy"]


def edit(copy: Path) -> bytes:
    """Turn a picture around, as people do; return its new content."""
    draw("disc", NEW).rotate(90, expand=True).save(copy)
    return copy.read_bytes()


# --- edited


def test_an_edited_copy_is_left_and_named(trained: Path, src: Path, dest: Path) -> None:
    sort(trained, src, dest)
    copy = copy_of(dest, src / "disc.jpg")
    mine = edit(copy)
    for _ in range(2):
        result = sort(trained, src, dest)
        assert f"0  copied to {dest}" in result.stdout
        assert f"{EDITED}{copy}." in result.stderr
        assert copy.read_bytes() == mine
        assert len(copies(dest)) == 3


@pytest.mark.parametrize("why", ["another model", "another picture", "another place"])
def test_an_edited_copy_is_never_replaced(
    why: str, trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest)
    copy, model, options = copy_of(dest, src / "disc.jpg"), trained, []
    mine = edit(copy)
    if why == "another model":
        model = bundle(trained, tmp_path / "bundle", run=NEXT_RUN)
    elif why == "another picture":
        draw("disc", NEW + 1).save(src / "disc.jpg")
    else:
        options = ["--min-score", "1", "--unsure", str(tmp_path / "aside")]
    result = sort(model, src, dest, *options)
    assert result.returncode == 0
    assert f"{EDITED}{copy}." in result.stderr
    assert copy.read_bytes() == mine
    new = copy_of(dest, src / "disc.jpg")  # beside it
    assert new != copy
    assert new.read_bytes() == (src / "disc.jpg").read_bytes()
    assert "have been edited" not in sort(model, src, dest, *options).stderr


def test_an_edit_that_keeps_the_size_is_one(trained: Path, src: Path, dest: Path) -> None:
    sort(trained, src, dest)
    copy = copy_of(dest, src / "disc.jpg")
    os.utime(src / "disc.jpg", (1, 1))
    sort(trained, src, dest)
    content = bytearray(copy.read_bytes())
    content[-3] ^= 1
    copy.write_bytes(content)
    assert f"{EDITED}{copy}." in sort(trained, src, dest).stderr
    assert copy.read_bytes() == content


def test_copies_whose_times_a_tool_did_not_keep_are_not_edited(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(dest, elsewhere, copy_function=shutil.copyfile)
    for path in elsewhere.iterdir():
        os.utime(path, (1_000_000_000, 1_000_000_000))
    result = sort(trained, src, elsewhere)
    assert result.stderr == "3 pictures were sorted before and are left as they are.\n"
    assert {row["copy_time"] for row in rows(elsewhere).values()} == {"1000000000"}


def test_more_than_ten_edited_copies_are_counted(trained: Path, many: Path, dest: Path) -> None:
    sort(trained, many, dest)
    for path in dest.glob("*.jpg"):
        path.write_bytes(b"mine")
    result = sort(trained, many, dest)
    assert "240 copies that may have been edited stay as they are: " in result.stderr
    assert "and 230 more." in result.stderr
    assert all(path.read_bytes() == b"mine" for path in dest.glob("*.jpg"))


def test_a_source_that_turned_bad_does_not_take_its_copy_along(
    trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    good = (src / "disc.jpg").read_bytes()
    copy = copy_of(dest, src / "disc.jpg")
    (src / "disc.jpg").write_text("a bad sector")
    for _ in range(2):
        assert sort(trained, src, dest).returncode == 6
        assert copy_of(dest, src / "disc.jpg") == copy
        assert copy.read_bytes() == good
    (src / "disc.jpg").write_bytes(good)
    assert sort(trained, src, dest).returncode == 0
    assert_sorted(dest, *src.iterdir())


def test_a_copy_is_renamed_where_only_its_name_changes(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest)
    before = stamps(dest)
    again = sort(bundle(trained, tmp_path / "bundle", run=NEXT_RUN), src, dest)
    assert f"3  copied to {dest}" in again.stdout
    after = stamps(dest)
    assert all(after[path] == before[path] for path in before if path.suffix == ".jpg")


@pytest.mark.parametrize("end", ["killed", "interrupted"])
@pytest.mark.parametrize("state", ["not begun", "copied", "finished"])
def test_a_copy_that_was_being_replaced_when_work_ended_is_settled(
    state: str, end: str, trained: Path, src: Path, dest: Path
) -> None:
    """The three states between a new copy and the end of the old one."""
    sort(trained, src, dest)
    before = rows(dest)[str(src / "disc.jpg")]
    draw("stripes", NEW + 1).save(src / "disc.jpg")
    folder = SortedFolder(dest, before["run"])
    results = folder._results
    old = results.find(before["source"])
    assert old is not None
    new = old.of_copy("stripes-0.50000.jpg")
    results.put(new, {"stripes": 0.5}, old)
    if state != "not begun":
        shutil.copy2(src / "disc.jpg", dest / new.copy)
    if state == "finished":
        (dest / old.copy).unlink()
    if end == "interrupted":
        folder.finish()
        assert copies(dest) == {row["copy"] for row in rows(dest).values()}
    else:
        folder._places[0].let_go()  # as the kernel does
    assert sort(trained, src, dest).returncode == 0
    assert_sorted(dest, *src.iterdir())


def test_killed_while_copies_are_replaced_the_same_command_finishes_the_work(
    trained: Path, many: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, many, dest)
    newer = bundle(trained, tmp_path / "newer", run=NEXT_RUN)
    for _ in range(2):  # at the second time guesses are known, and copies only renamed
        before = len(copies(dest))
        line = command("guess-dir", newer, many, dest, "--keep-names")
        with subprocess.Popen(line, env=environment(), stdout=subprocess.DEVNULL) as process:
            while len(list(dest.glob("*.jpg"))) > before - 20:
                assert process.poll() is None, "done too soon"
                time.sleep(0.01)
            process.kill()
        assert sort(newer, many, dest).returncode == 0
        assert_sorted(dest, *many.iterdir())


def test_a_copy_that_became_a_way_to_its_source_does_not_take_it_along(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest, "--keep-names")
    (dest / "disc" / "disc.jpg").unlink()
    (dest / "disc" / "disc.jpg").symlink_to(src / "disc.jpg")
    shutil.rmtree(dest / "squares")
    (dest / "squares").symlink_to(src)
    newer = bundle(trained, tmp_path / "newer", run=NEXT_RUN)
    for options in ((), ("--keep-names",), ("--sync",), ("--link",)):
        for model in (newer, trained):
            sort(model, src, dest, *options)
        assert sorted(path.name for path in src.iterdir()) == [
            "disc.jpg",
            "squares.jpg",
            "stripes.jpg",
        ]
        assert all(path.stat().st_size for path in src.iterdir())


# --- gone


def test_sources_that_are_gone_are_counted_and_their_copies_stay(
    trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    before = copies(dest)
    (src / "disc.jpg").unlink()
    result = sort(trained, src, dest)
    hint = "--sync removes what was made of them"
    assert f"1 picture is gone from {src} since an earlier run; {hint}." in result.stderr
    assert copies(dest) == before
    assert str(src / "disc.jpg") in rows(dest)
    assert json.loads(sort(trained, src, dest, "--json").stdout)["gone"] == 1


def test_sync_takes_rows_and_copies_of_what_is_gone_and_a_renamed_one_keeps_its_name(
    trained: Path, src: Path, dest: Path
) -> None:
    sort(trained, src, dest)
    before = copies(dest)
    (src / "disc.jpg").rename(src / "renamed.jpg")
    result = sort(trained, src, dest, "--sync")
    assert f"1 picture is gone from {src}; its copy was removed.\n" in result.stderr
    assert_sorted(dest, *src.iterdir())
    assert copies(dest) == before
    (src / "renamed.jpg").unlink()
    sort(trained, src, dest, "--sync")
    assert_sorted(dest, *src.iterdir())
    assert len(copies(dest)) == 2


def test_sync_leaves_an_edited_copy(trained: Path, src: Path, dest: Path) -> None:
    sort(trained, src, dest)
    copy = copy_of(dest, src / "disc.jpg")
    mine = edit(copy)
    (src / "disc.jpg").unlink()
    result = sort(trained, src, dest, "--sync")
    assert f"{EDITED}{copy}." in result.stderr
    assert f"1 picture is gone from {src} since an earlier run.\n" in result.stderr
    assert copy.read_bytes() == mine
    assert str(src / "disc.jpg") not in rows(dest)


@pytest.mark.parametrize("options", [(), ("--link",)])
def test_sync_says_how_many_copies_went_and_would_go(
    trained: Path, src: Path, dest: Path, options: tuple[str, ...]
) -> None:
    shutil.copy(src / "squares.jpg", src / "more.jpg")
    sort(trained, src, dest, *options)
    names = [rows(dest)[str(src / f"{name}.jpg")]["copy"] for name in ("disc", "more")]
    for name in ("disc", "more"):
        (src / f"{name}.jpg").unlink()
    would = sort(trained, src, dest, "--sync", "--dry-run", *options)
    assert f"2 pictures are gone from {src}; their 2 copies would be removed.\n" in would.stderr
    assert copies(dest).issuperset(names)
    (dest / names[0]).unlink()
    would = sort(trained, src, dest, "--sync", "--dry-run", "--json", *options)
    assert "; 1 of their copies would be removed.\n" in would.stderr
    assert [json.loads(would.stdout)[key] for key in ("gone", "removed")] == [2, 1]
    shutil.copy(src / "stripes.jpg", src / "last.jpg")
    sort(trained, src, dest, *options)
    (src / "last.jpg").unlink()
    done = sort(trained, src, dest, "--sync", *options)
    assert f"3 pictures are gone from {src}; 2 of their copies were removed.\n" in done.stderr
    assert len(copies(dest)) == 2


def test_sync_looks_at_its_own_source_only(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    other = tmp_path / "src and more"
    other.mkdir()
    (src / "disc.jpg").rename(other / "disc.jpg")
    for folder in (src, other):
        sort(trained, folder, dest)
    (other / "disc.jpg").unlink()
    assert "gone" not in sort(trained, src, dest, "--sync").stderr
    assert len(copies(dest)) == 3


def test_sync_of_an_empty_source_removes_nothing(trained: Path, src: Path, dest: Path) -> None:
    sort(trained, src, dest)
    for path in src.iterdir():
        path.unlink()
    result = sort(trained, src, dest, "--sync")
    assert result.returncode == 0
    assert "No picture is left in SRC, as if its disk were not mounted" in result.stderr
    assert len(copies(dest)) == 3
    assert len(rows(dest)) == 3


def test_names_that_are_one_on_some_systems_are_told_apart() -> None:
    assert blind("É.jpg") == blind("e\u0301.JPG")
