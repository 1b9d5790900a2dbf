"""Measure a large folder: check, features, head training and guess-dir, in time and memory.

    python bench/scale.py FOLDER [--pictures 100000] [--few 1000]

Draws that many small distinct pictures into FOLDER (once; they stay), trains on them without
fine-tuning, and sorts them. For each stage: the rate over its first and its last tenth, and the
resident memory after the first and after the last. Then sorts the first --few pictures alone, for
the peak to compare with, and kills a sorting three times to see how much it does again.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from processes import run
from retrain.config import FineTuneConfig, GuessConfig, SortConfig, TrainConfig
from retrain.data.stream import ordered

CATEGORIES = ("blue", "green", "red", "yellow")
COLOURS = ((40, 60, 200), (40, 170, 60), (200, 50, 40), (210, 200, 50))
SIDE = 96  # pixels
IN_FOLDER = 1000  # pictures
KILLED_AFTER = (3, 3, 2)  # seconds


def draw(path: Path, number: int) -> None:
    """Write a picture of its category's colour under a pattern that no other picture has."""
    random = np.random.default_rng(number)
    noise = random.integers(-60, 60, (6, 6, 3))
    small = np.clip(np.array(COLOURS[number % len(COLOURS)]) + noise, 0, 255).astype(np.uint8)
    image = Image.fromarray(small).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    image.save(path, quality=80)


def draw_all(data: Path, count: int) -> None:
    """Write `count` pictures to data/<category>/<thousands>/, those that are missing."""

    def one(number: int) -> None:
        path = path_of(data, number)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(path, number)

    for _ in ordered(one, range(count), 64):
        pass


def path_of(data: Path, number: int) -> Path:
    """Return where a picture lies."""
    category = CATEGORIES[number % len(CATEGORIES)]
    return data / category / f"{number // IN_FOLDER:03d}" / f"{number:06d}.jpg"


def resident() -> float:
    """Return this process's resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Recorder:
    """A Reporter that notes time and memory at each tenth of each bar.

    rows: a line a bar that came to its end.
    """

    def __init__(self) -> None:
        self.rows: list[str] = []

    def say(self, text: str) -> None:
        """Print the news; a child's are seen if it fails."""
        print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)

    warn = say

    def table(self, columns: Sequence[str]) -> Callable[[Sequence[str]], None]:
        """Print the rows."""
        self.say("  ".join(columns))
        return lambda cells: self.say("  ".join(cells))

    @contextmanager
    def bar(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Note when each tenth is done."""
        marks = [(time.monotonic(), resident())]
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            while len(marks) <= 10 and done >= total * len(marks) / 10:
                marks.append((time.monotonic(), resident()))

        yield advance
        if len(marks) == 11:
            self.rows.append(row(label, total, marks))
            self.say(self.rows[-1])


def row(label: str, total: int, marks: list[tuple[float, float]]) -> str:
    """Write a stage's line; marks are time and memory at its start and after each tenth."""
    first, last = marks[1][0] - marks[0][0], marks[10][0] - marks[9][0]
    return (
        f"{label:<18} {total:7d} in {marks[10][0] - marks[0][0]:6.0f} s; first tenth "
        f"{total / 10 / first:7.1f}/s, last {total / 10 / last:7.1f}/s; "
        f"{marks[1][1]:.0f} MB to {marks[10][1]:.0f} MB"
    )


def train_all(folder: Path, _: Path) -> list[str]:
    """Train on the folder's data."""
    from retrain.jobs.train import train

    recorder = Recorder()
    train(folder, TrainConfig(fine_tune=FineTuneConfig(when="never")), recorder)
    return recorder.rows


def sort_all(folder: Path, source: Path) -> list[str]:
    """Sort a folder."""
    from retrain.jobs.guess_dir import sort_folder

    recorder = Recorder()
    with tempfile.TemporaryDirectory(dir=folder) as dest:
        sorting = SortConfig(recursive=True, link=True)
        sort_folder(folder, source, Path(dest) / "sorted", GuessConfig(), sorting, recorder)
    return recorder.rows


def kill_sorting(folder: Path, source: Path) -> None:
    """Sort, with `kill -9` in between, and print what was done twice."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        dest = Path(name) / "sorted"
        line = [sys.executable, "-m", "retrain", "guess-dir", "--recursive", "--link", "--json"]
        command = [*line, str(folder), str(source), str(dest)]
        known, kills = 0, 0
        for seconds in (*KILLED_AFTER, None):
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                try:
                    said, _ = process.communicate(timeout=seconds)
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
            kills += 1
            database = sqlite3.connect(dest / ".results.sqlite")
            (known,) = database.execute("select count(*) from pictures").fetchone()
            database.close()
        answer = json.loads(said)
        copies = len(list(dest.glob("*.jpg")))
    print(
        f"killed {kills} times: {known} were known, {known - answer['done_before']} "
        f"done again, {copies} copies of {sum(1 for _ in source.rglob('*.jpg'))} pictures"
    )


CHILDREN = {"train": train_all, "sort": sort_all}


def main() -> None:
    """Read the command line; a child is told so by --child."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="is made, and becomes a workspace")
    parser.add_argument("--pictures", type=int, default=100_000)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, default=Path(), help=argparse.SUPPRESS)
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if args.child:
        answer = CHILDREN[args.child](args.folder, args.source)
        args.answer.write_text(json.dumps(answer))
        return
    data, few = args.folder / "data", args.folder / "few"
    draw_all(data, args.pictures)
    draw_all(few, args.few)
    for child, source in (("train", data), ("sort", data), ("sort", few)):
        with tempfile.NamedTemporaryFile() as file:
            line = [sys.executable, __file__, str(args.folder), "--child", child]
            done = run([*line, "--source", str(source), "--answer", file.name])
            rows = json.loads(file.read())
        name = f"{child} {source.name}"
        print(f"{name}: {done.seconds:.0f} s, peak {done.peak / 1e6:.0f} MB")
        for text in rows:
            print(f"  {text}", flush=True)
    kill_sorting(args.folder, few)


if __name__ == "__main__":
    main()
