"""Reads films a few frames a second, in flat memory: by ffmpeg's command, else by PyAV.

Files that only name others, such as playlists, are no films here: they could lead anywhere.
"""

import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrain.errors import MachineError

Reader = Literal["auto", "ffmpeg", "pyav"]
Pixels = NDArray[np.uint8]

SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".ogv", ".3gp", ".mxf", ".vob", ".asf"),
)
_CONTAINERS = "mov,matroska,webm,avi,mpeg,mpegts,mpegvideo,ogg,flv,asf,mxf,nut"
SHORT, SHORT_SHARE = 5.0, 0.05  # seconds, and share of all, that may be missing at the end
_NEARLY = 1e-6  # seconds
_LONGEST_LINE = 64  # bytes of a header's line


class BrokenFilm(Exception):
    """A film that cannot be read, or not to its end; the message says why."""


@dataclass(frozen=True)
class Frame:
    """A frame. time: in seconds from the beginning. pixels: uint8 [h, w, 3], RGB, upright."""

    time: float
    pixels: Pixels


def choose_reader(wanted: Reader) -> Literal["ffmpeg", "pyav"]:
    """Return what reads films on this machine.

    Raises:
        MachineError: nothing does.
    """
    if wanted in ("auto", "ffmpeg") and shutil.which("ffmpeg"):
        return "ffmpeg"
    if wanted in ("auto", "pyav") and importlib.util.find_spec("av"):
        return "pyav"
    found = {"auto": "ffmpeg or PyAV", "ffmpeg": "ffmpeg", "pyav": "PyAV"}[wanted]
    raise MachineError(
        f"Films need {found}, which is not installed. `pip install 'retrain[films]'` brings PyAV, "
        "`apt-get install ffmpeg` the other."
    )


def frames(film: Path, rate: float, most: int, reader: Reader = "auto") -> Iterator[Frame]:
    """Yield frames of a film, upright and with square pixels.

    Args:
        film: a file.
        rate: frames a second; of a film with a varying rate the frames that are shown then.
        most: pixels of the longer side.
        reader: what reads it.

    Raises:
        BrokenFilm: at the end of what could be read.
        MachineError: nothing here reads films.
    """
    last = 0.0
    read = _by_ffmpeg if choose_reader(reader) == "ffmpeg" else _by_pyav
    for frame in read(film, rate, most):
        last = frame.time
        yield frame
    claimed = seconds(film, reader)  # what is cut off is not always an error to a reader
    if last < claimed - max(SHORT, SHORT_SHARE * claimed):
        raise BrokenFilm(f"it ends after {last:.0f} of {claimed:.0f} s")


def seconds(film: Path, reader: Reader = "auto") -> float:
    """Return how long a film is, as it says of itself; 0 where it does not."""
    if choose_reader(reader) == "ffmpeg":
        line = ["ffmpeg", "-nostdin", "-hide_banner", *_input(film)]
        said = subprocess.run(line, capture_output=True, check=False).stderr
        found = re.search(rb"Duration: (\d+):(\d+):(\d+)", said)
        hours, minutes, rest = map(int, found.groups()) if found else (0, 0, 0)
        return float(hours * 3600 + minutes * 60 + rest)
    import av

    try:
        with _opened(film) as container:
            return float(container.duration or 0) / av.time_base
    except (av.FFmpegError, OSError, ValueError):
        return 0.0


def _input(film: Path) -> list[str]:
    limits = ["-protocol_whitelist", "file", "-format_whitelist", _CONTAINERS]
    return [*limits, "-i", f"file:{film}"]


def _by_ffmpeg(film: Path, rate: float, most: int) -> Iterator[Frame]:
    shrink = f"min(1,{most}/max(iw*sar,ih))"
    size = f"scale=w='max(1,trunc(iw*sar*{shrink}))':h='max(1,trunc(ih*{shrink}))':flags=area"
    line = [
        *("ffmpeg", "-nostdin", "-v", "error", *_input(film), "-map", "0:V:0", "-an", "-sn", "-dn"),
        *("-vf", f"fps={rate:g},{size},setsar=1", "-f", "image2pipe", "-c:v", "ppm", "pipe:1"),
    ]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=errors)
        assert process.stdout is not None
        try:
            number = 0
            while (pixels := _ppm(process.stdout)) is not None:
                yield Frame(number / rate, pixels)
                number += 1
            code = process.wait()
        finally:
            process.kill()
            process.stdout.close()
            process.wait()
        errors.seek(0)
        said = errors.read(1 << 16).decode(errors="replace").strip().splitlines()
    if code or said or not number:
        raise BrokenFilm(_plainly(said))


def _ppm(stream: IO[bytes]) -> Pixels | None:
    """Read a picture that ffmpeg wrote; None at the end."""
    if stream.readline(_LONGEST_LINE) != b"P6\n":
        return None
    width, height = map(int, stream.readline(_LONGEST_LINE).split())
    stream.readline(_LONGEST_LINE)
    content = stream.read(width * height * 3)
    if len(content) < width * height * 3:
        return None
    return np.frombuffer(content, np.uint8).reshape(height, width, 3)


def _plainly(said: list[str]) -> str:
    """Return what ffmpeg said of a film, without the addresses of its own parts."""
    lines = [re.sub(r"^(\[[^\]]*\] )+", "", line) for line in said]
    if any("matches no streams" in line for line in lines):
        return "there is no video in it"
    if any("whitelist" in line for line in lines):
        return "it is in no format that is read here"
    return lines[0].split("file:")[-1] if lines else "there is no frame in it"


def _opened(film: Path) -> Any:
    import av

    limits = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    return av.open(f"file:{film}", options=limits, metadata_errors="replace")


def _by_pyav(film: Path, rate: float, most: int) -> Iterator[Frame]:
    import av

    try:
        with _opened(film) as container:
            streams = [s for s in container.streams.video if not _is_cover(s)]
            if not streams:
                raise BrokenFilm("there is no video in it")
            streams[0].thread_type = "AUTO"
            begin, reached, number, last = None, 0.0, 0, None
            for frame in container.decode(streams[0]):
                if frame.time is None:
                    continue
                begin = frame.time if begin is None else begin
                # A frame is shown until the next one comes.
                reached = frame.time - begin
                while last is not None and number / rate < reached - _NEARLY:
                    yield Frame(number / rate, last)
                    number += 1
                last = _upright(frame, streams[0], most)
            if last is None:
                raise BrokenFilm("there is no frame in it")
            if number / rate < reached + _NEARLY:
                yield Frame(number / rate, last)
    except (av.FFmpegError, OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise BrokenFilm(" ".join(said.split())) from error


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in str(getattr(stream, "disposition", "")).lower()


def _upright(frame: Any, stream: Any, most: int) -> Pixels:
    """Return a frame's pixels, turned as its film says, with square pixels."""
    shape = frame.width * float(stream.sample_aspect_ratio or 1), float(frame.height)
    shrink = min(1.0, most / max(shape))
    width, height = (max(1, int(side * shrink)) for side in shape)
    pixels = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    turns = round(getattr(frame, "rotation", 0) / 90)
    return np.ascontiguousarray(np.rot90(pixels, turns))
