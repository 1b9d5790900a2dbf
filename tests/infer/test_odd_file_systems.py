"""Copies go to file systems that lack modes, times, links or locks, such as those of cameras."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import ROOT
from disks import image
from sorting import assert_sorted, rows, sort

LACKING = """
import errno, fcntl, os

def lacking(*arguments, **keywords):
    raise OSError(errno.{error}, os.strerror(errno.{error}))

{place} = lacking
"""


@pytest.fixture
def fat(tmp_path: Path) -> Iterator[Path]:
    """A small disk as cameras have it."""
    with image(tmp_path / "card", "vfat", "mkfs.vfat") as folder:
        yield folder


def without(folder: Path, place: str, error: str) -> str:
    """Return a PYTHONPATH on which a system call fails, as it does where a file system lacks it.

    Args:
        folder: to write to.
        place: the call, such as "os.utime".
        error: such as "EPERM".
    """
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(LACKING.format(place=place, error=error))
    return f"{folder}{os.pathsep}{ROOT / 'src'}"


@pytest.mark.parametrize(
    ("call", "options"),
    [
        ("os.utime", ()),
        ("os.chmod", ("--keep-names",)),
        ("os.copy_file_range", ()),
        ("os.link", ("--link",)),
    ],
)
def test_without_a_call_pictures_are_sorted_and_then_known(
    call: str, options: tuple[str, ...], trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    path = without(tmp_path / "lacking", call, "EPERM")
    for source in src.iterdir():
        os.utime(source, (1_000_000_000, 1_000_000_000))
        source.chmod(0o600)
    result = sort(trained, src, dest, *options, path=path)
    assert (result.returncode, result.stderr) == (0, "")
    found = rows(dest)
    assert found.keys() == set(map(str, src.iterdir()))
    for name, row in found.items():
        assert (dest / row["copy"]).read_bytes() == Path(name).read_bytes()
        there = (dest / row["copy"]).stat()
        assert there.st_nlink == 1  # a copy
        assert (there.st_mode & 0o777 == 0o600) == (call != "os.chmod")
        assert row["time"] == "1000000000"
        assert (row["copy_time"] == row["time"]) == (call != "os.utime")
        assert row["copy_time"] == str(int(there.st_mtime))
    again = sort(trained, src, dest, *options, path=path)
    assert again.stderr == "3 pictures were sorted before and are left as they are.\n"


def test_an_edited_copy_is_known_where_copies_have_times_of_their_own(
    trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    path = without(tmp_path / "lacking", "os.utime", "EPERM")
    sort(trained, src, dest, path=path)
    copy = dest / rows(dest)[str(src / "disc.jpg")]["copy"]
    copy.write_bytes(b"mine")
    assert f"stays as it is: {copy}." in sort(trained, src, dest, path=path).stderr
    assert copy.read_bytes() == b"mine"


@pytest.mark.parametrize("error", ["ENOLCK", "ENOTSUP"])
def test_a_lock_that_the_file_system_lacks_is_a_warning(
    error: str, trained: Path, src: Path, dest: Path, tmp_path: Path
) -> None:
    path = without(tmp_path / "lacking", "fcntl.flock", error)
    result = sort(trained, src, dest, path=path)
    assert result.returncode == 0
    assert result.stderr.startswith(f"{dest} cannot be locked (")
    assert "start no second guess-dir into it meanwhile." in result.stderr
    assert_sorted(dest, *src.iterdir())


@pytest.mark.parametrize("options", [(), ("--keep-names",), ("--link",)])
def test_a_card_is_sorted_into_and_read_from(
    options: tuple[str, ...], trained: Path, src: Path, fat: Path, tmp_path: Path
) -> None:
    shutil.copy(src / "disc.jpg", src / "DISC.JPG")
    on_card = fat / "src"
    for source, dest in ((src, fat / "sorted"), (on_card, tmp_path / "sorted")):
        if source == on_card:
            shutil.copytree(src, source)
        for _ in range(2):
            result = sort(trained, source, dest, *options)
            assert result.returncode == 0, result.stderr
        assert f"0  copied to {dest}" in result.stdout
        assert "have been edited" not in result.stderr
        assert len({row["copy"].casefold() for row in rows(dest).values()}) == len(rows(dest))
