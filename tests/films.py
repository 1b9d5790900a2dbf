"""Draws films: real ones, small, the same every time."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from scenes import scene

FPS = 10
SIZE = (192, 108)
_UPRIGHT = b"".join(n.to_bytes(4, "big") for n in (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30))
# As a phone held upright writes it: turn a quarter clockwise to see it.
_QUARTER = b"".join(n.to_bytes(4, "big") for n in (0, 1 << 16, 0, 0xFFFF0000, 0, 0, 0, 0, 1 << 30))


def shot(seed: int, count: int) -> Iterator[Image.Image]:
    """Yield the frames of one scene: a camera that moves over a picture, a pixel at a time."""
    wide = scene(seed, (SIZE[0] + count, SIZE[1]))
    for i in range(count):
        yield wide.crop((i, 0, i + SIZE[0], SIZE[1]))


def black(count: int) -> Iterator[Image.Image]:
    """Yield black frames."""
    for _ in range(count):
        yield Image.new("RGB", SIZE)


def write_film(
    path: Path, images: Iterable[Image.Image], times: Iterable[float] | None = None
) -> Path:
    """Write a film.

    Args:
        path: its suffix tells the container.
        images: the frames.
        times: of each, in seconds; None for FPS a second.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    own = iter(times) if times is not None else None
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate = 2_000_000
        stream.codec_context.time_base = Fraction(1, 1000)
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")
            moment = next(own) if own is not None else i / FPS
            frame.pts, frame.time_base = round(1000 * moment), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_scenes(path: Path, seeds: Iterable[int], seconds: float = 3) -> Path:
    """Write a film of scenes, each of so many seconds."""
    return write_film(path, (image for seed in seeds for image in shot(seed, int(seconds * FPS))))


def turned(path: Path) -> Path:
    """Let an MP4 say that it must be turned a quarter clockwise to be seen upright."""
    content = path.read_bytes()
    assert content.count(_UPRIGHT) >= 1
    start = content.index(b"tkhd")
    place = content.index(_UPRIGHT, start)
    path.write_bytes(content[:place] + _QUARTER + content[place + len(_QUARTER) :])
    return path


def write_sound(path: Path) -> Path:
    """Write a file with sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    return path
