"""Measure how pictures are gathered.

    python bench/gather.py download [--pictures 2000] [--per-host 6]
    python bench/gather.py film FILM [--hours 1]
    python bench/gather.py vary PHOTOGRAPHS... [--draws 3]

download: pictures of 500 x 375 pixels from a server on loopback, in a process of its own, by
`retrain download`: how many a second; then once more, killed in the middle and started again: how
many addresses were asked for twice. Each answer takes --delay seconds, as a network has it.

film: `retrain frames` of FILM repeated to so many hours: seconds and peak memory.

vary: the question behind `retrain vary`. Of categories of photographs, folders of JPEGs, a tenth
becomes drawings, which look different: by edges and few colours, as fan art does beside film
frames. Heads learn from all photographs and a few drawings of each category, and are judged by
other drawings and photographs: without help; with the six variations of each drawing; with as many
random views of it, as fine-tuning augments; and with each drawing counted seven times.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from processes import run

ROOT = Path(__file__).resolve().parent.parent
SIZE = (500, 375)
KILL_AT = 0.5  # of the addresses
SHARES = (4, 8, 16)  # drawings of a category that are learned from
SERVER = """
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from servers import PictureServer
folder, delay = Path(sys.argv[1]), float(sys.argv[2])
server = PictureServer()
for path in sorted(folder.iterdir()):
    def answer(handler, content=path.read_bytes()):
        time.sleep(delay)
        handler.reply(200, content)
    server.does(f"/{path.name}", answer)
def asked(handler):
    counts = [count for path, count in server.asked.items() if path.endswith(".jpg")]
    handler.reply(200, f"{sum(counts)} {sum(count > 1 for count in counts)}".encode())
server.does("/asked", asked)
print(server.url, flush=True)
server.serve_forever()
"""


@contextmanager
def serving(folder: Path, delay: float) -> Iterator[str]:
    """Serve a folder's files from a process of its own."""
    line = [sys.executable, "-c", SERVER, str(folder), str(delay), str(ROOT / "tests")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def draw_pictures(folder: Path, count: int) -> None:
    """Write JPEGs with as much detail as photographs of that size have."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        rough = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        image = Image.fromarray(rough).resize(SIZE, Image.Resampling.BICUBIC)
        grain = np.asarray(image, np.int16) + rng.normal(0, 8, (*SIZE[::-1], 1)).astype(np.int16)
        picture = Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))
        picture.save(folder / f"{i}.jpg", quality=85)


def download(args: argparse.Namespace) -> None:
    """Measure downloads."""
    import httpx

    with tempfile.TemporaryDirectory() as work:
        pictures = Path(work) / "pictures"
        draw_pictures(pictures, args.pictures)
        sizes = [path.stat().st_size for path in pictures.iterdir()]
        print(f"{len(sizes)} pictures of {np.mean(sizes) / 1024:.0f} KiB in the mean")
        for name, killed in (("all at once", False), ("killed in the middle", True)):
            with serving(pictures, args.delay) as url:
                addresses = Path(work) / "list.txt"
                addresses.write_text("\n".join(f"{url}/{i}.jpg" for i in range(args.pictures)))
                root = Path(work) / name
                line = ["download", root, addresses, "--category", "x", "--allow-private"]
                line += ["--per-host", str(args.per_host)]
                settled = kill_in_the_middle(line, root, args.pictures) if killed else 0
                before = cpu_seconds()
                done = run([sys.executable, "-m", "retrain", *map(str, line)])
                cpu = cpu_seconds() - before
                asked, twice = map(int, httpx.get(f"{url}/asked").text.split())
            kept = len(list((root / "data" / "x").iterdir()))
            rate = (args.pictures - settled) / done.seconds
            print(
                f"{name}: {kept} kept, {done.seconds:.1f} s, {rate:.0f} a second, peak "
                f"{done.peak / 1e6:.0f} MB, {cpu:.1f} s of CPU; {settled} had a row when killed, "
                f"{asked} requests, {twice} addresses asked for twice"
            )


def cpu_seconds() -> float:
    """Return the CPU time of processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def kill_in_the_middle(line: Sequence[Any], root: Path, count: int) -> int:
    """Start a download and kill it half-way; return how many addresses had a row by then."""
    sources = root / "sources.csv"
    command = [sys.executable, "-m", "retrain", *map(str, line)]
    with subprocess.Popen(command, stdout=-3, stderr=-3) as process:
        while not sources.exists() or sources.read_bytes().count(b"\n") < KILL_AT * count:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    return sources.read_bytes().count(b"\n") - 1


def film(args: argparse.Namespace) -> None:
    """Measure a film of hours."""
    from retrain.gather.films import seconds

    with tempfile.TemporaryDirectory() as work:
        long = Path(work) / f"long{args.film.suffix}"
        times = int(args.hours * 3600 / seconds(args.film))
        loop = ["ffmpeg", "-v", "error", "-stream_loop", str(times), "-i", str(args.film)]
        subprocess.run([*loop, "-c", "copy", str(long)], check=True)
        for name, path in (("once", args.film), (f"{args.hours:g} h", long)):
            root = Path(work) / name
            line = ["frames", str(root), str(path), "--category", "x"]
            done = run([sys.executable, "-m", "retrain", *line])
            print(f"{name}: {done.seconds:.1f} s, peak {done.peak / 1e6:.0f} MB beside ffmpeg")


def drawing(image: Image.Image) -> Image.Image:
    """Make a drawing of a photograph: flat colours and dark lines where it has edges."""
    small = image.convert("RGB")
    small.thumbnail((400, 400))
    flat = small.filter(ImageFilter.MedianFilter(7)).quantize(8).convert("RGB")
    edges = small.convert("L").filter(ImageFilter.GaussianBlur(1)).filter(ImageFilter.FIND_EDGES)
    lines = edges.point(lambda value: 0 if value > 24 else 255)
    flat.paste((20, 20, 20), mask=lines.point(lambda value: 255 - value))
    return flat


def vary(args: argparse.Namespace) -> None:
    """Measure what variations teach."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    pictures = Drawn(args.photographs)
    print(f"{'drawings':>9} {'':>24} {'drawings right':>15} {'photographs right':>18}")
    for share in SHARES:
        found: dict[str, list[tuple[float, float]]] = {}
        for draw in range(args.draws):
            for name, scores in pictures.judged(share, draw).items():
                found.setdefault(name, []).append(scores)
        for name, rows in found.items():
            (drawn, photos), spread = np.mean(rows, axis=0), np.std(rows, axis=0)
            print(f"{share:>9} {name:>24} {drawn:>8.3f} ±{spread[0]:.3f} {photos:>11.3f}")


class Drawn:
    """Photographs, drawings made of others of them, and all their features."""

    def __init__(self, folders: Sequence[Path]) -> None:
        from retrain.config import AugmentConfig
        from retrain.data.images import PixelRules, decode, fit_pixels
        from retrain.gather.variations import KINDS
        from retrain.gather.variations import vary as varied
        from retrain.model.backbones import backbone_named
        from retrain.model.build import build_backbone
        from retrain.model.predict import Forward
        from retrain.model.weights import obtain
        from retrain.training.augment import random_view, source_of_views, strength

        backbone = backbone_named("efficientnet_lite0")
        network = build_backbone(backbone, 224, obtain(backbone, "imagenet", print))
        forward, rules, how = Forward(network), PixelRules(224, "squash"), strength(AugmentConfig())
        rng = np.random.default_rng(0)

        def features(pixels: list[Any]) -> Any:
            return np.concatenate(
                [forward(np.stack(pixels[i : i + 32])) for i in range(0, len(pixels), 32)]
            )

        photos, drawn, views, kinds = [], [], [], []
        self.photo_labels, self.drawn_labels = [], []
        for label, folder in enumerate(folders):
            paths = sorted(path for path in folder.iterdir() if path.is_file())
            for i in rng.permutation(len(paths)):
                image = decode(paths[i].read_bytes())
                if i % 2:
                    photos.append(fit_pixels(image, rules))
                    self.photo_labels.append(label)
                    continue
                made = drawing(image)
                drawn.append(fit_pixels(made, rules))
                self.drawn_labels.append(label)
                source = source_of_views(made, rules, how)
                views += [random_view(source, rules, how, 0, e, f"{i}") for e in range(6)]
                pixels = np.asarray(made)
                kinds += [
                    fit_pixels(Image.fromarray(varied(pixels, kind, int(i))), rules)
                    for kind in KINDS
                ]
        self.photos, self.drawn = features(photos), features(drawn)
        self.views = features(views).reshape(len(drawn), 6, -1)
        self.kinds = features(kinds).reshape(len(drawn), 6, -1)

    def judged(self, share: int, draw: int) -> dict[str, tuple[float, float]]:
        """Return the share of drawings and of photographs that each way names rightly."""
        rng = np.random.default_rng((draw, share))
        labels, photo_labels = np.array(self.drawn_labels), np.array(self.photo_labels)
        learned = np.concatenate(
            [rng.permutation(np.flatnonzero(labels == c))[:share] for c in np.unique(labels)]
        )
        others = np.setdiff1d(np.arange(len(labels)), learned)
        half = rng.permutation(len(photo_labels))
        seen, unseen = half[: len(half) // 2], half[len(half) // 2 :]
        few = self.drawn[learned]
        width = few.shape[1]
        ways = {
            "nothing": few[:0],
            "six variations": self.kinds[learned].reshape(-1, width),
            "six random views": self.views[learned].reshape(-1, width),
            "counted seven times": np.repeat(few, 6, axis=0),
        }
        scores = {}
        for name, more in ways.items():
            times = len(more) // len(learned)
            features = np.concatenate([self.photos[seen], few, more])
            known = np.concatenate(
                [photo_labels[seen], labels[learned], np.repeat(labels[learned], times)]
            )
            head = fitted(features, known)
            scores[name] = (
                right(head, self.drawn[others], labels[others]),
                right(head, self.photos[unseen], photo_labels[unseen]),
            )
        return scores


def fitted(features: Any, labels: Any) -> Any:
    """Fit a head; its penalty is what trainings choose for such sets."""
    from retrain.training.regression import Regression

    fit = Regression([features], labels, int(labels.max()) + 1)
    return fit.linear(fit.solve(0.03, None, 300))


def right(head: Any, features: Any, labels: Any) -> float:
    """Return the share that is named rightly."""
    return float((head.logits(features).argmax(axis=1) == labels).mean())


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    what = parser.add_subparsers(required=True)
    one = what.add_parser("download")
    one.add_argument("--pictures", type=int, default=2000)
    one.add_argument("--per-host", type=int, default=6)
    one.add_argument("--delay", type=float, default=0.0)
    one.set_defaults(measure=download)
    one = what.add_parser("film")
    one.add_argument("film", type=Path)
    one.add_argument("--hours", type=float, default=1)
    one.set_defaults(measure=film)
    one = what.add_parser("vary")
    one.add_argument("photographs", type=Path, nargs="+")
    one.add_argument("--draws", type=int, default=3)
    one.set_defaults(measure=vary)
    args = parser.parse_args()
    args.measure(args)


if __name__ == "__main__":
    main()
