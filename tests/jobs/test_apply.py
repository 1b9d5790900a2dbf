"""Corrections are made good in the folders, and all of it can be taken back, after a crash too."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from commands import environment, like_anyone, refused, retrain
from disks import disk
from pictures import write_workspace
from retrain.data.corrections import Correction, add_corrections
from retrain.files import file_digest
from retrain.jobs import journal
from retrain.jobs.apply import apply_corrections, take_back_steps
from retrain.progress import Silent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace of two categories, and choices about three of its pictures."""
    root = write_workspace(tmp_path / "tf files é", 3, ("disc", "stripes"))
    choose(root, "disc/disc-000.jpg", "stripes")
    choose(root, "disc/disc-001.jpg", "new one")
    choose(root, "stripes/stripes-002.jpg", "")
    return root


def choose(root: Path, name: str, category: str) -> None:
    sha256 = file_digest(root / "data" / name)
    what = Correction(sha256, name, "other category" if category else "left out", category)
    add_corrections(root / "corrections.csv", [what])


def tree(root: Path) -> dict[str, str]:
    """Return all pictures of a workspace, by path, with their contents."""
    return {
        path.relative_to(root).as_posix(): file_digest(path) for path in sorted(root.rglob("*.jpg"))
    }


MOVED = {
    "data/stripes/disc-000.jpg",
    "data/new one/disc-001.jpg",
    "removed/stripes/stripes-002.jpg",
}


def test_folders_are_made_to_agree_and_put_back(root: Path) -> None:
    before = tree(root)
    applied = apply_corrections(root, Silent())
    after = tree(root)
    assert {move.target for move in applied.moves} == after.keys() - before.keys() == MOVED
    assert sorted(after.values()) == sorted(before.values())
    assert apply_corrections(root, Silent()).moves == ()
    back = take_back_steps(root, 1, Silent())
    assert len(back.moves) == 3
    assert tree(root) == before
    assert not (root / "data" / "new one").exists()
    assert not (root / "removed").exists()


def test_several_steps_are_taken_back_the_newest_first(root: Path) -> None:
    before = tree(root)
    apply_corrections(root, Silent())
    choose(root, "stripes/disc-000.jpg", "disc")
    choose(root, "stripes/stripes-000.jpg", "disc")
    apply_corrections(root, Silent())
    assert "data/disc/stripes-000.jpg" in tree(root)
    take_back_steps(root, 2, Silent())
    assert tree(root) == before


def test_a_name_that_is_taken_gets_a_number(root: Path) -> None:
    shutil.copy(root / "data/disc/disc-002.jpg", root / "data/stripes/disc-000.jpg")
    before = tree(root)
    applied = apply_corrections(root, Silent())
    assert "data/stripes/disc-000-2.jpg" in {move.target for move in applied.moves}
    take_back_steps(root, 1, Silent())
    assert tree(root) == before


def test_sides_and_subfolders_are_kept(tmp_path: Path) -> None:
    root = tmp_path
    for side in ("train", "test"):
        write_workspace(root / "made", 2, ("disc", "stripes"))
        shutil.move(root / "made" / "data", root / "data" / side)
    (root / "data/test/disc/more").mkdir()
    (root / "data/test/disc/disc-000.jpg").rename(root / "data/test/disc/more/a.jpg")
    (root / "data/train/disc/disc-000.jpg").unlink()
    choose(root, "test/disc/more/a.jpg", "stripes")
    (move,) = apply_corrections(root, Silent()).moves
    assert move.target == "data/test/stripes/more/a.jpg"


KILLED = """
import os, signal, sys
from pathlib import Path
from retrain.jobs import apply, journal
from retrain.progress import Silent
place, number = sys.argv[2], int(sys.argv[3])
real, count = getattr(journal, place), 0
def dying(*arguments):
    global count
    count += 1
    if count == number: os.kill(os.getpid(), signal.SIGKILL)
    result = real(*arguments)
    if count + 1000 == number: os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(journal, place, dying)
if sys.argv[4] == "apply": apply.apply_corrections(Path(sys.argv[1]), Silent())
else: apply.take_back_steps(Path(sys.argv[1]), 1, Silent())
"""


@pytest.mark.parametrize("job", ["apply", "undo"])
@pytest.mark.parametrize("number", [1, 2, 3, 1001, 1002])
def test_a_kill_at_any_move_loses_nothing_and_is_taken_back(
    root: Path, job: str, number: int
) -> None:
    before = tree(root)
    if job == "undo":
        apply_corrections(root, Silent())
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, root, "move_file", str(number), job],
        env=environment(),
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert sorted(tree(root).values()) == sorted(before.values())
    take_back_steps(root, 1, Silent())
    assert tree(root) == before


def test_a_line_that_a_crash_cut_short_hides_none_that_follows(root: Path) -> None:
    before = tree(root)
    (root / "applied.jsonl").write_bytes(b'{"step": 1, "from": "data/di')
    apply_corrections(root, Silent())
    take_back_steps(root, 1, Silent())
    assert tree(root) == before


def test_what_was_changed_since_is_left_alone_and_named(root: Path) -> None:
    apply_corrections(root, Silent())
    (root / "data/stripes/disc-000.jpg").write_bytes(b"another")
    (root / "data/new one/disc-001.jpg").unlink()
    shutil.copy(root / "data/disc/disc-002.jpg", root / "data/stripes/stripes-002.jpg")
    result = retrain("check", root, "--undo")
    assert result.returncode == 6, result.stderr
    assert result.stderr.endswith("retrain: 3 pictures could not be brought back.\n")
    assert "retrain: data/stripes/disc-000.jpg: it was changed since" in result.stderr
    assert "data/new one/disc-001.jpg: it is no longer where it was put" in result.stderr
    assert "removed/stripes/stripes-002.jpg: another file took its old place" in result.stderr
    assert (root / "data/stripes/disc-000.jpg").read_bytes() == b"another"
    (root / "data/stripes/stripes-002.jpg").unlink()  # put right, it is tried again
    assert [move.source for move in take_back_steps(root, 1, Silent()).moves] == [
        "data/stripes/stripes-002.jpg"
    ]


def test_a_picture_goes_to_another_disk_and_back(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "size=4m") as place:
        root = write_workspace(tmp_path / "tf_files", 2, ("disc", "stripes"))
        shutil.move(root / "data", place / "data")
        (root / "data").symlink_to(place / "data")
        choose(root, "disc/disc-000.jpg", "")
        content = file_digest(root / "data/disc/disc-000.jpg")
        apply_corrections(root, Silent())
        assert file_digest(root / "removed/disc/disc-000.jpg") == content
        assert not (root / "data/disc/disc-000.jpg").exists()
        take_back_steps(root, 1, Silent())
        assert file_digest(root / "data/disc/disc-000.jpg") == content


def test_a_crash_between_copying_and_deleting_is_taken_back(root: Path) -> None:
    before = tree(root)
    apply_corrections(root, Silent())
    shutil.copy(root / "data/stripes/disc-000.jpg", root / "data/disc/disc-000.jpg")
    take_back_steps(root, 1, Silent())
    assert tree(root) == before


def test_a_link_still_leads_to_its_picture(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 2, ("disc", "stripes"))
    shutil.move(root / "data/disc/disc-000.jpg", root / "elsewhere.jpg")
    link = root / "data/disc/disc-000.jpg"
    link.symlink_to("../../elsewhere.jpg")
    choose(root, "disc/disc-000.jpg", "")
    apply_corrections(root, Silent())
    moved = root / "removed/disc/disc-000.jpg"
    assert moved.is_symlink()
    assert moved.resolve() == root / "elsewhere.jpg"
    take_back_steps(root, 1, Silent())
    assert link.readlink() == Path("../../elsewhere.jpg")


def test_a_category_that_no_folder_can_be_called_stays_inside(root: Path) -> None:
    choose(root, "disc/disc-002.jpg", "../../x")
    targets = {move.target for move in apply_corrections(root, Silent()).moves}
    assert "data/_._.._x/disc-002.jpg" in targets


def test_labels_of_a_table_are_not_changed(tmp_path: Path) -> None:
    root = write_workspace(tmp_path, 2, ("disc", "stripes"))
    rows = [f"{c}/{c}-00{i}.jpg,{c}" for c in ("disc", "stripes") for i in (0, 1)]
    (root / "data" / "labels.csv").write_text("\n".join(["path,label", *rows]))
    choose(root, "disc/disc-000.jpg", "stripes")
    assert "labels.csv says the categories" in refused(retrain("check", root, "--apply"), 3)


def test_a_read_only_data_folder_is_named_and_choices_still_work(root: Path) -> None:
    for folder in (root / "data/disc", root / "data/stripes", root / "data"):
        folder.chmod(0o500)
    try:
        result = retrain("check", root, "--apply", under=like_anyone())
        assert "No permission to write" in refused(result, 8)
        choose(root, "disc/disc-002.jpg", "stripes")
    finally:
        for folder in (root / "data", root / "data/disc", root / "data/stripes"):
            folder.chmod(0o700)


def test_the_command_says_what_it_moved(root: Path) -> None:
    nothing = retrain("check", root, "--undo")
    assert refused(nothing, 2) == (
        "retrain: There is nothing to take back: --apply has moved nothing yet."
    )
    applied = retrain("check", root, "--apply")
    assert applied.returncode == 0, applied.stderr
    assert "data/disc/disc-000.jpg -> data/stripes/disc-000.jpg\n" in applied.stdout
    assert applied.stdout.endswith("Moved 3 pictures; --undo brings them back.\n")
    again = retrain("check", root, "--apply")
    assert again.stdout == "The folders agree with the corrections.\n"
    back = retrain("check", root, "--undo", "1", "--json")
    assert len(json.loads(back.stdout)["moved"]) == 3
    assert "do not go together" in refused(retrain("check", root, "--apply", "--undo"), 2)


def test_the_journal_is_written_before_the_move(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(source: Path, target: Path) -> None:
        assert str(os.fspath(target.name)) in (root / "applied.jsonl").read_text()
        raise OSError(28, os.strerror(28), str(target))

    before = tree(root)
    monkeypatch.setattr(journal, "move_file", failing)
    with pytest.raises(Exception, match="The disk is full"):
        apply_corrections(root, Silent())
    monkeypatch.undo()
    assert tree(root) == before
    take_back_steps(root, 1, Silent())
    assert tree(root) == before
