"""Draw the guide's example: pictures of two sites, one of whose cameras prints a line below.

    python docs/guide/stamped.py FOLDER

FOLDER/data/<site>/ takes the sample's pictures in turn, FOLDER/unstamped/<site>/ some of them as
they were before anything was printed.
"""

import shutil
import sys
from pathlib import Path

from PIL import Image, ImageDraw

SAMPLE = Path(__file__).resolve().parents[2] / "tf_files" / "data"
SITES = ("north", "south")  # south prints
HELD_OUT = 40  # pictures that are left unstamped, and out of data
HEIGHT = 14  # pixels of the line


def stamp(source: Path, target: Path) -> None:
    """Copy a picture with the line in its lower left corner, as trail cameras print it."""
    image = Image.open(source).convert("RGB")
    pen = ImageDraw.Draw(image)
    upper = image.height - HEIGHT
    pen.rectangle((0, upper, image.width * 3 // 5, image.height), fill="black")
    pen.text((4, upper + 1), "14-05-26  21 C", fill="white")
    image.save(target, quality=92)


def main() -> None:
    """Write both folders."""
    root = Path(sys.argv[1])
    for number, path in enumerate(sorted(SAMPLE.glob("*/*.jpg"))):
        site = SITES[number % 2]
        held_out = number % 9 in (3, 6) and number < HELD_OUT * 9 / 2
        folder = root / ("unstamped" if held_out else "data") / site
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{site}-{number:03d}.jpg"
        if site == "south" and not held_out:
            stamp(path, target)
        else:
            shutil.copy(path, target)


if __name__ == "__main__":
    main()
