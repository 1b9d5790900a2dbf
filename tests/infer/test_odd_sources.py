"""Sources that cannot be read do not stop a guess-dir; each is a failed row."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from commands import command, environment, retrain
from retrain.errors import MachineError
from retrain.infer.copying import SourceError, destination_errors, make_copy
from retrain.infer.guess import Guess
from retrain.infer.guess_dir import SortedFolder
from sorting import NEXT_RUN, assert_sorted, bundle, copies, rows, sort, sorting


def unprivileged(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `retrain ARGUMENTS...` as somebody to whom permissions mean something."""
    line = command(*arguments)
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root reads everything, and there is no setpriv to forbid it")
        line = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *line]
    return subprocess.run(line, capture_output=True, text=True, env=environment(), check=False)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Path]:
    """A folder with a picture in it that nobody may enter."""
    folder = tmp_path / "locked"
    folder.mkdir()
    (folder / "inside.jpg").write_text("out of sight")
    folder.chmod(0)
    yield folder
    folder.chmod(0o700)


def failures(dest: Path) -> dict[str, str]:
    return {path: row["error"] for path, row in rows(dest).items() if row["error"]}


def test_a_sub_folder_that_cannot_be_listed_is_a_failed_row(
    trained: Path, src: Path, dest: Path
) -> None:
    for name in ("locked", "open"):
        (src / name).mkdir()
        shutil.copy(src / "disc.jpg", src / name)
    (src / "locked").chmod(0)
    for _ in range(2):
        result = unprivileged("guess-dir", trained, src, dest, "-r")
        assert result.returncode == 6
        assert f"retrain: {src / 'locked'}: Permission denied\n" in result.stderr
        assert failures(dest) == {str(src / "locked"): "Permission denied"}
        assert len(copies(dest)) == 4
    (src / "locked").chmod(0o700)
    assert sort(trained, src, dest, "-r").returncode == 0
    assert_sorted(dest, *(path for path in src.rglob("*") if path.is_file()))


def test_sync_does_not_take_what_it_cannot_see_for_gone(
    trained: Path, src: Path, dest: Path
) -> None:
    (src / "locked").mkdir()
    shutil.copy(src / "disc.jpg", src / "locked")
    sort(trained, src, dest, "-r")
    (src / "locked").chmod(0)
    result = unprivileged("guess-dir", trained, src, dest, "-r", "--sync")
    (src / "locked").chmod(0o700)
    assert "gone" not in result.stderr
    assert len(copies(dest)) == 4


def test_sources_that_cannot_be_read_are_failed_rows(
    trained: Path, src: Path, dest: Path, locked: Path
) -> None:
    shutil.copy(src / "disc.jpg", src / "forbidden.jpg")
    (src / "forbidden.jpg").chmod(0)
    (src / "link.jpg").symlink_to(locked / "inside.jpg")
    (src / "loop.jpg").symlink_to("loop.jpg")
    (src / "memory.jpg").symlink_to("/proc/self/mem")  # whose first byte cannot be read
    result = unprivileged("guess-dir", trained, src, dest)
    assert result.returncode == 6
    assert {Path(path).name: error for path, error in failures(dest).items()} == {
        "forbidden.jpg": "Permission denied",
        "link.jpg": f"a link to {locked / 'inside.jpg'}, which is not there",
        "loop.jpg": "a link to loop.jpg, which is not there",
        "memory.jpg": "Input/output error",
    }
    assert len(copies(dest)) == 3


def guessed(source: Path, extension: str = ".jpg") -> Guess:
    scores = np.array([0.9, 0.1], np.float32)
    return Guess(source, ("disc", "squares"), scores, extension=extension)


def test_a_source_that_fails_while_it_is_copied_is_a_failed_row(tmp_path: Path, src: Path) -> None:
    folder = SortedFolder(tmp_path / "dest", "run")
    (src / "memory.jpg").symlink_to("/proc/self/mem")
    (src / "folder.jpg").mkdir()
    names = ("memory.jpg", "disc.jpg", "folder.jpg", "gone.jpg")
    guesses = [guessed(src / name) for name in names]
    found = [*folder.add_all(guesses)]
    folder.finish()
    errors = ["Input/output error", "", "Is a directory", "No such file or directory"]
    assert [row.error for row in found] == errors
    noted = rows(tmp_path / "dest")
    assert [noted[str(src / name)]["error"] for name in names] == errors
    assert copies(tmp_path / "dest") == {found[1].copy}


def test_a_source_that_fails_while_it_is_copied_anew_keeps_its_old_copy(
    tmp_path: Path, src: Path
) -> None:
    guess = guessed(src / "disc.jpg")
    for run in ("one", "two"):
        folder = SortedFolder(tmp_path / "dest", run)
        (found,) = folder.add_all([guess])
        folder.finish()
        if run == "one":
            before, content = found, (src / "disc.jpg").read_bytes()
            (src / "disc.jpg").unlink()
    assert (found.error, found.copy) == ("No such file or directory", before.copy)
    assert (tmp_path / "dest" / found.copy).read_bytes() == content


def test_a_name_that_dest_cannot_hold_is_a_failed_row(tmp_path: Path, src: Path) -> None:
    folder = SortedFolder(tmp_path / "dest", "run")
    guesses = [
        guessed(src / "disc.jpg", extension="." + 250 * "x"),
        guessed(src / "squares.jpg"),
    ]
    errors = [row.error for row in folder.add_all(guesses)]
    folder.finish()
    assert errors == ["no copy of it can be made: File name too long", ""]


def test_dest_that_fails_stops_the_work(tmp_path: Path, src: Path) -> None:
    with pytest.raises(SourceError, match="Input/output error"):
        make_copy(Path("/proc/self/mem"), tmp_path / "copy.jpg", link=False)
    assert not [*tmp_path.glob("*copy*")]
    gone = tmp_path / "unplugged" / "copy.jpg"
    with (
        pytest.raises(MachineError, match=r"unplugged.* cannot be written: No such file"),
        destination_errors(gone.parent),
    ):
        make_copy(src / "disc.jpg", gone, link=False)


@pytest.mark.parametrize("options", [(), ("--keep-names",)])
def test_dest_that_may_not_be_written_stops_the_work(
    options: tuple[str, ...], trained: Path, many: Path, dest: Path
) -> None:
    with sorting(trained, many, dest, *options) as process:
        process.kill()
    dest.chmod(0o500)
    result = unprivileged("guess-dir", trained, many, dest, *options)
    dest.chmod(0o700)
    assert result.returncode == 8
    assert result.stderr.startswith(f"retrain: No permission to write: {dest}")


def test_a_retraining_whose_sources_cannot_be_read_keeps_all_copies(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    sort(trained, src, dest)
    before = copies(dest)
    for path in src.iterdir():
        path.chmod(0)
    newer = bundle(trained, tmp_path / "newer", run=NEXT_RUN)
    for options in ((), ("--keep-names",)):
        assert unprivileged("guess-dir", newer, src, dest, *options).returncode == 6
        assert copies(dest) == before
        assert {row["copy"] for row in rows(dest).values()} == before


# --- folders where files are expected, and the reverse


def test_a_source_with_sub_folders_only_says_so(trained: Path, tmp_path: Path, dest: Path) -> None:
    src = tmp_path / "src"
    for name in ("2024", "2025", ".hidden"):
        (src / name).mkdir(parents=True)
    (src / "also 2025").symlink_to("2025")
    result = sort(trained, src, dest)
    assert result.returncode == 0
    said = f"3 sub-folders were not entered in {src}; --recursive goes into them.\n"
    assert result.stderr == said
    assert sort(trained, src, dest, "--recursive").stderr == ""


def test_guess_of_a_folder_names_guess_dir(trained: Path, src: Path) -> None:
    result = retrain("guess", trained, src)
    assert result.returncode == 6
    line = f"retrain: {src}: is a folder; `retrain guess-dir` sorts the pictures of one"
    assert result.stderr.splitlines()[0] == line
