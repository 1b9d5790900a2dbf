"""Films become frames by either reader, whatever the film is like."""

import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from films import shot, turned, write_film, write_scenes, write_sound
from retrain.errors import MachineError
from retrain.gather.films import BrokenFilm, Frame, choose_reader, frames, seconds
from retrain.gather.scenes import CUT, Chosen, Selection, difference, is_black, sharpness, thumbnail
from scenes import scene

READERS = ("ffmpeg", "pyav")
Name = Literal["ffmpeg", "pyav"]


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Name:
    name: Name = request.param
    try:
        choose_reader(name)
    except MachineError as error:
        pytest.skip(str(error))
    return name


def read(film: Path, reader: Name, rate: float = 5.0, most: int = 96) -> list[Frame]:
    return list(frames(film, rate, most, reader))


def test_frames_come_at_their_times_and_no_larger_than_wanted(reader: Name, tmp_path: Path) -> None:
    film = write_scenes(tmp_path / "a film: é.mp4", [1, 2], seconds=2)
    found = read(film, reader)
    assert [frame.time for frame in found] == pytest.approx([i / 5 for i in range(20)])
    assert {frame.pixels.shape for frame in found} == {(54, 96, 3)}
    original = thumbnail(np.asarray(next(shot(1, 20))))
    assert difference(thumbnail(found[0].pixels), original) < 6
    assert seconds(film, reader) == pytest.approx(4, abs=0.2)


def test_a_film_held_upright_is_read_upright(reader: Name, tmp_path: Path) -> None:
    film = turned(write_scenes(tmp_path / "t.mp4", [1], seconds=1))
    pixels = read(film, reader)[0].pixels
    assert pixels.shape == (96, 54, 3)
    upright = next(shot(1, 10)).transpose(Image.Transpose.ROTATE_270)
    assert difference(thumbnail(pixels), thumbnail(np.asarray(upright))) < 6


def test_of_a_varying_rate_the_frames_are_those_that_are_shown(
    reader: Name, tmp_path: Path
) -> None:
    times = [0, 0.1, 0.2, 3.0, 3.1, 6.0]
    film = write_film(tmp_path / "v.mkv", [*shot(1, 3), *shot(2, 3)], times)
    found = read(film, reader)
    steps = [
        difference(thumbnail(one.pixels), thumbnail(other.pixels)) for one, other in pairwise(found)
    ]
    assert len(found) == 31
    assert [i for i, step in enumerate(steps) if step > CUT] == [14]  # at 3.0 s


def test_a_broken_film_gives_what_comes_before_the_break(reader: Name, tmp_path: Path) -> None:
    film = write_scenes(tmp_path / "whole.mp4", [1, 2, 3], seconds=8)
    content = film.read_bytes()
    film.write_bytes(content[: len(content) // 2])
    found = []
    with pytest.raises(BrokenFilm):  # noqa: PT012 - it is about what came before
        for frame in frames(film, 5.0, 96, reader):
            found.append(frame)
    assert 40 <= len(found) <= 80


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("playlist.mp4", b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
        ("text.mp4", b"no film at all"),
        ("empty.mp4", b""),
    ],
)
def test_what_is_no_film_is_refused(
    name: str, content: bytes, reader: Name, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BrokenFilm):
        read(tmp_path / name, reader)
    assert seconds(tmp_path / name, reader) == 0


def test_sound_is_no_film(reader: Name, tmp_path: Path) -> None:
    with pytest.raises(BrokenFilm, match="no video"):
        read(write_sound(tmp_path / "s.m4a"), reader)


def test_who_stops_early_leaves_no_process(tmp_path: Path) -> None:
    reading = frames(write_scenes(tmp_path / "a.mp4", [1], seconds=9), 5.0, 96)
    next(reading)
    del reading
    running = subprocess.run(["ps", "-ef"], capture_output=True, text=True, check=False).stdout
    assert str(tmp_path) not in running


def chosen(images: list[Image.Image], every: float | None) -> list[tuple[float, int]]:
    """Return time and scene of what is chosen of frames, five a second."""
    selection, found = Selection(every), list[Chosen]()
    for i, image in enumerate(images):
        found += selection.feed(Frame(i / 5, np.asarray(image)))
    found += selection.finish()
    return [(one.frame.time, one.scene) for one in found]


def test_every_so_many_seconds_with_the_scene_each_belongs_to() -> None:
    images = [image for seed in (1, 2) for image in shot(seed, 15)]
    assert chosen(images, 1.0) == [(t, 1 if t < 3 else 2) for t in (0.0, 1.0, 2.0, 3.0, 4.0, 5.0)]


def test_of_each_scene_the_sharpest() -> None:
    images = []
    for seed in (1, 2):
        blurred = [image.resize((24, 14)).resize(image.size) for image in shot(seed, 6)]
        blurred[4] = list(shot(seed, 6))[4]
        images += blurred
    assert chosen(images, None) == [(0.8, 1), (2.0, 2)]


def test_black_and_near_equal_frames_are_left_out() -> None:
    still, other = scene(1), scene(2)
    black = Image.new("RGB", still.size, (9, 9, 9))
    images = [still] * 10 + [black] * 10 + [other] * 10 + [still] * 10
    assert chosen(images, 1.0) == [(0.0, 1), (4.0, 3)]
    assert chosen(images, None) == [(0.0, 1), (4.0, 3)]


def test_a_title_on_black_is_not_black() -> None:
    title = Image.new("RGB", (192, 108))
    title.paste((230, 230, 230), (60, 50, 130, 60))
    assert not is_black(thumbnail(np.asarray(title)))
    assert sharpness(np.zeros((2, 2, 3), np.uint8)) == 0
