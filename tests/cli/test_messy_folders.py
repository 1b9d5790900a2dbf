"""Folders as people have them: what the real commands make of them, and say about them."""

import json
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import like_anyone, measured, refused, retrain
from pictures import (
    CATEGORIES,
    STORED,
    draw,
    encoded,
    with_orientation,
    write_jpegs,
    write_workspace,
)
from retrain.data.images import MAX_BYTES


def looked_at(root: Path, *under: str) -> list[str]:
    """Read a workspace's pictures as a training does; return the lines about them."""
    result = retrain("show-batch", root, "--size", "64", under=under)
    assert result.returncode == 0, result.stderr
    return result.stderr.splitlines()


def sparse(path: Path, size: int, start: bytes = b"") -> Path:
    """Write a file that takes no room, whatever its size."""
    path.write_bytes(start)
    os.truncate(path, size)
    return path


# --- layouts


def test_sides_of_a_split_are_known_in_any_letter_case(tmp_path: Path) -> None:
    for side, each in {"Train": 6, "VALID": 2, "Testing": 1}.items():
        for category in CATEGORIES:
            write_jpegs(tmp_path / "data" / side, category, each, start=10 * each)
    lines = looked_at(tmp_path)
    assert "27 pictures in 3 categories, 0 files skipped." in lines
    assert [line.split()[1:] for line in lines if line.startswith("  disc")] == [["6", "2", "1"]]


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "testing"), ("train", "dev")])
def test_a_split_without_categories_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        write_jpegs(tmp_path / "data", name, 3)
    message = refused(retrain("train", tmp_path), 3)
    assert "one folder a category inside train/" in message
    assert f"{names[0]} (3 files, 0 folders)" in message


def test_a_folder_that_wraps_everything_is_seen_through_and_said(tmp_path: Path) -> None:
    for start, side in enumerate(("train", "test")):
        for category in CATEGORIES:
            folder = tmp_path / "data" / "archive" / "flowers" / side
            write_jpegs(folder, category, 4, start=10 * start)
    lines = looked_at(tmp_path)
    assert "The folder 'archive/flowers' holds everything: it is taken for the data." in lines
    assert any(line.split()[0] == "disc" for line in lines)


def test_labels_csv_finds_other_spellings_and_says_what_it_does_not_list(tmp_path: Path) -> None:
    data = write_workspace(tmp_path, 4).joinpath("data")
    rows = ["path,label"]
    for path in sorted(data.rglob("*.jpg"))[:-1]:
        renamed = path.with_name(unicodedata.normalize("NFD", f"é {path.name}"))
        path.rename(renamed)
        name = unicodedata.normalize("NFC", renamed.relative_to(data).as_posix())
        rows.append(f"{name},{path.parent.name}")
    (data / "labels.csv").write_text("\n".join(rows))
    lines = looked_at(tmp_path)
    assert "11 pictures in 3 categories, 0 files skipped." in lines
    assert "labels.csv does not name 'stripes/stripes-003.jpg': left out." in lines


# --- what cannot be listed or read


def test_a_folder_that_cannot_be_listed_is_named_with_its_reason(tmp_path: Path) -> None:
    before = like_anyone()
    data = write_workspace(tmp_path, 4).joinpath("data")
    closed = [data / "disc" / "private", data / "closed"]
    for folder in closed:
        write_jpegs(folder.parent, folder.name, 1)
        folder.chmod(0)
    try:
        lines = looked_at(tmp_path, *before)
    finally:
        for folder in closed:
            folder.chmod(0o700)
    reason = "a folder that cannot be listed: Permission denied"
    assert f"Skipped disc/private: {reason}" in lines
    assert f"Skipped closed: {reason}" in lines
    assert "12 pictures in 3 categories, 2 files skipped." in lines


def test_films_and_giants_are_named_unread(tmp_path: Path) -> None:
    data = write_workspace(tmp_path, 4).joinpath("data")
    film = b"\0\0\0\x18ftypmp42" + bytes(8)
    for name in ("one.mp4", "two.jpg"):
        sparse(data / "disc" / name, 3 << 30, film)
    sparse(data / "disc" / "giant.jpg", 30 << 30, b"\xff\xd8\xff\xe0")
    sparse(data / "disc" / "nothing.jpg", 30 << 30)
    note = tmp_path / "peak"
    lines = looked_at(tmp_path, *measured(note))
    for name in ("one.mp4", "two.jpg"):
        what = "a film (MP4); `retrain frames` takes pictures out of it"
        assert f"Skipped disc/{name}: {what}" in lines
    most = MAX_BYTES >> 20
    giant = f"Skipped disc/giant.jpg: 30,720 MiB; pictures above {most} MiB are not read"
    assert giant in lines
    assert any(line.startswith("Skipped disc/nothing.jpg: no picture format") for line in lines)
    assert float(note.read_text()) < 300


def test_bad_files_that_wait_for_their_line_hold_no_memory(tmp_path: Path) -> None:
    data = write_workspace(tmp_path, 4).joinpath("data")
    for i in range(40):
        sparse(data / "disc" / f"{i}.png", 50 << 20, b"\x89PNG\r\n\x1a\n")
    note = tmp_path / "peak"
    assert "Skipped 30 more files:" in looked_at(tmp_path, *measured(note))
    assert float(note.read_text()) < 300


def test_a_file_that_memory_does_not_allow_is_one_file_that_fails(
    trained: Path, tmp_path: Path
) -> None:
    if not shutil.which("prlimit"):
        pytest.skip("only prlimit can make memory short")
    good = trained / "data" / "disc" / "disc-000.jpg"
    large = sparse(tmp_path / "large.png", MAX_BYTES, b"\x89PNG\r\n\x1a\n")
    limit = ("prlimit", f"--data={300 << 20}")
    line = ("guess", trained, large, good, "--precision", "float32")
    result = retrain(*line, under=limit, OPENBLAS_NUM_THREADS="1")
    assert result.returncode == 6, result.stderr
    assert f"{large}: too large for this machine's memory" in result.stderr
    assert "disc (score" in result.stdout


# --- kinds of files


def test_heic_in_every_orientation_is_guessed_like_the_upright_picture(
    trained: Path, tmp_path: Path
) -> None:
    upright = draw("disc", 500)
    upright.save(tmp_path / "0.png")
    for orientation, turn in STORED.items():
        stored = upright if turn is None else upright.transpose(turn)
        content = encoded(stored, "HEIF", exif=with_orientation(orientation).tobytes())
        (tmp_path / f"{orientation}.HEIC").write_bytes(content)
    result = retrain("guess", trained, *sorted(tmp_path.iterdir()), "--json")
    assert result.returncode == 0, result.stderr
    plain, *others = (guess["scores"] for guess in json.loads(result.stdout))
    assert len(others) == 8
    for scores in others:
        assert scores == pytest.approx(plain, abs=0.02)


def test_a_folder_of_heic_is_read_and_sorted(trained: Path, tmp_path: Path) -> None:
    data = write_workspace(tmp_path / "tf_files", 4).joinpath("data")
    for path in list(data.rglob("*.jpg")):
        with Image.open(path) as image:
            path.with_suffix(".heic").write_bytes(encoded(image, "HEIF"))
        path.unlink()
    assert "12 pictures in 3 categories, 0 files skipped." in looked_at(tmp_path / "tf_files")
    next((data / "disc").iterdir()).rename(data / "disc" / "without a suffix")
    result = retrain("guess-dir", trained, data / "disc", tmp_path / "sorted")
    assert result.returncode == 0, result.stderr
    assert sum(1 for path in (tmp_path / "sorted").glob("*.heic")) == 4


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7", "a PDF document; export its pages as JPEG or PNG"),
        (b"8BPS\0\1", "a Photoshop document (PSD); export it"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera's raw file; export it"),
        (b"<?xml version='1.0'?>\n<svg width='3'/>", "a vector drawing (SVG); export it"),
        (b"\0\0\0\x14ftypqt  ", "a film (MOV); `retrain frames` takes"),
    ],
)
def test_what_is_no_picture_is_named_as_what_it_is(
    trained: Path, tmp_path: Path, content: bytes, kind: str
) -> None:
    (tmp_path / "thing.jpg").write_bytes(content)
    result = retrain("guess", trained, tmp_path / "thing.jpg")
    assert result.returncode == 6
    assert f"thing.jpg: {kind}" in result.stderr


def test_a_jpeg_beyond_the_bomb_limit_is_read_where_it_decodes_small(
    trained: Path, tmp_path: Path
) -> None:
    image = Image.new("L", (20_000, 16_000), 90)
    image.save(tmp_path / "panorama.jpg")
    image.save(tmp_path / "progressive.jpg", progressive=True)
    note = tmp_path / "peak"
    result = retrain("guess", trained, *sorted(tmp_path.iterdir()), under=measured(note))
    assert result.returncode == 6
    assert result.stdout.count("disc (score") == 1
    assert "progressive.jpg: 20000x16000 is too large to decode" in result.stderr
    assert float(note.read_text()) < 300


def test_a_sixteen_bit_picture_takes_little_memory(trained: Path, tmp_path: Path) -> None:
    values = np.arange(6000 * 4000, dtype=np.uint32).reshape(4000, 6000) % 65536
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "scan.tif")
    note = tmp_path / "peak"
    result = retrain("guess", trained, tmp_path / "scan.tif", under=measured(note))
    assert result.returncode == 0, result.stderr
    assert float(note.read_text()) < 400


# --- many of them


def test_of_many_skipped_files_ten_are_lines_and_the_rest_are_counted_by_reason(
    tmp_path: Path,
) -> None:
    data = write_workspace(tmp_path, 4).joinpath("data")
    for i in range(30):
        (data / "disc" / f"{i:03d}.jpg").touch()
        (data / "stripes" / f"{i:03d}.txt").write_text("notes")
        whole = encoded(draw("disc", i), "JPEG")
        (data / "squares" / f"{i:03d}.jpg").write_bytes(whole[: len(whole) // 2])
    (data / "disc" / "0\nb\x1b[31m.jpg").touch()
    lines = looked_at(tmp_path)
    named = [line for line in lines if line.startswith("Skipped ") and ": " in line]
    assert len(named) == 10
    assert named[0] == r"Skipped disc/0\nb\x1b[31m.jpg: empty file"
    start = lines.index("Skipped 81 more files:")
    assert [line.split(maxsplit=1) for line in lines[start + 1 : start + 4]] == [
        ["30", "image file is truncated"],
        ["30", "no picture format that can be read"],
        ["21", "empty file"],
    ]
    assert "12 pictures in 3 categories, 91 files skipped." in lines


def test_only_a_container_is_told_how_to_see_where_links_lead(tmp_path: Path) -> None:
    root = write_workspace(tmp_path / "tf_files", each=4)
    (root / "data" / "fox").symlink_to(tmp_path / "other disk")
    (root / "data" / "disc" / "away.jpg").symlink_to(tmp_path / "other disk" / "1.jpg")
    line = ("show-batch", root, "--size", "64")
    outside = retrain(*line).stderr
    inside = retrain(*line, RETRAIN_ENGINE="docker 29").stderr
    assert outside.count("which is not there") == inside.count("which is not there") == 2
    assert "RETRAIN_MOUNT" not in outside
    assert inside.count("RETRAIN_MOUNT") == 1
