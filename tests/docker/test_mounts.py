"""What a command line shows a container of this machine. Needs no engine."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import PATIENCE, ROOT

SHOWN = """
fail() { echo "$2"; exit "$1"; }
source docker/commands.sh
source docker/paths.sh
cd "$1"
shift
share_paths "$@"
"""
PRINTED = 'printf "%s\\n" "${options[@]}"'
MOUNT = 'type=bind,"source={0}","target={0}"'


def shown(folder: Path, *arguments: str | Path, **settings: str) -> dict[Path, str]:
    """Return the paths that a command in `folder` shows, each "ro" or "rw"."""
    result = subprocess.run(
        ["bash", "-euc", SHOWN + PRINTED, "-", str(folder), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "HOME": str(folder / "home"), "RETRAIN_MOUNT": "", **settings},
        check=True,
    )
    mounts = [line for line in result.stdout.splitlines() if line.startswith("type=bind")]
    found = {}
    for line in mounts:
        path = line.split('"source=')[1].split('"')[0]
        assert line.startswith(MOUNT.format(path))
        found[Path(path)] = "ro" if line.endswith(",readonly") else "rw"
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a workspace, and some pictures in three folders."""
    for name in ("tf_files/runs/first", "photos", "home", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    for place in ("photos", "home", "elsewhere"):
        for number in range(3):
            (tmp_path / place / f"{number}.jpg").touch()
    (tmp_path / "photos" / "link.jpg").symlink_to(tmp_path / "elsewhere" / "2.jpg")
    return tmp_path


def test_a_picture_is_shown_and_nothing_beside_it(folder: Path) -> None:
    found = shown(folder, "guess", "tf_files", "photos/0.jpg")
    assert found == {folder / "tf_files": "ro", folder / "photos" / "0.jpg": "ro"}


def test_pictures_of_one_folder_are_shown_by_it_once_and_links_by_themselves(folder: Path) -> None:
    pictures = [*sorted((folder / "photos").iterdir()), folder / "elsewhere" / "0.jpg"]
    found = shown(folder, "guess", "--top", "2", "tf_files", *pictures)
    assert found == dict.fromkeys(
        [
            *(folder / "tf_files", folder / "photos"),
            *(folder / "photos" / "link.jpg", folder / "elsewhere" / "0.jpg"),
        ],
        "ro",
    )


def test_home_is_not_shown_for_the_pictures_in_it(folder: Path) -> None:
    pictures = sorted((folder / "home").iterdir())
    found = shown(folder, "guess", "tf_files", *pictures)
    assert found == dict.fromkeys([folder / "tf_files", *pictures], "ro")


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("guess-dir tf_files photos new/sorted", "new/sorted"),
        ("guess-dir tf_files photos photos/../sorted", "sorted"),
        ("guess-dir --min-score 0.5 --unsure=aside tf_files photos photos/sorted", "aside"),
        ("evaluate tf_files --output evaluation", "evaluation"),
        ("report tf_files --output new/report.html", "new"),
        ("report tf_files --output elsewhere", "elsewhere"),
        ("train tf_files --weights photos/0.jpg", "tf_files"),
    ],
)
def test_what_is_written_is_shown_and_not_what_is_around_it(
    line: str, written: str, folder: Path
) -> None:
    before = sorted(folder.rglob("*"))
    found = shown(folder, *line.split())
    assert found[folder / written] == "rw"
    assert {folder, folder / "new"} & found.keys() <= {folder / written}
    assert sorted(folder.rglob("*")) == before


def test_a_file_in_the_way_of_a_folder_is_left_for_the_tool_to_name(folder: Path) -> None:
    found = shown(folder, "guess-dir", "tf_files", "photos", "elsewhere/0.jpg/sorted")
    assert found[folder / "elsewhere" / "0.jpg"] == "ro"
    assert "rw" not in found.values()


@pytest.mark.parametrize(
    ("command", "mode"), [("guess", "ro"), ("evaluate", "ro"), ("explain", "rw")]
)
def test_a_model_that_is_a_file_is_shown_with_its_workspace(
    command: str, mode: str, folder: Path
) -> None:
    (folder / "tf_files" / "model").write_text("first")
    found = shown(folder, command, "tf_files/model", "photos/0.jpg")
    assert found[folder / "tf_files"] == mode


@pytest.fixture
def waiting(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command that has its folders made, then becomes a program that waits for its end."""
    line = ["guess-dir", "tf_files", "photos", "new/sorted", "--unsure", "new/aside"]
    with subprocess.Popen(
        ["bash", "-euc", f"{SHOWN} make_folders; exec sleep {PATIENCE}", "-", str(folder), *line],
        cwd=ROOT,
        start_new_session=True,  # a group that Control-C reaches as a whole
    ) as process:
        wait_for(folder / "new" / "sorted", True)
        yield process


def wait_for(path: Path, there: bool) -> None:
    deadline = time.monotonic() + PATIENCE
    while path.exists() != there:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_folders_that_stay_empty_go_however_the_command_ends(
    number: signal.Signals, waiting: subprocess.Popen[bytes], folder: Path
) -> None:
    os.killpg(waiting.pid, number)
    assert waiting.wait(PATIENCE) == -number
    wait_for(folder / "new", False)


def test_folders_that_were_written_to_stay(waiting: subprocess.Popen[bytes], folder: Path) -> None:
    (folder / "new" / "sorted" / "results.csv").touch()
    waiting.kill()
    wait_for(folder / "new" / "aside", False)
    assert (folder / "new" / "sorted" / "results.csv").exists()
