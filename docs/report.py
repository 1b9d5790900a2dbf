"""Draw docs/report.png: the upper part of a real report, in Chromium.

    PYTHONPATH=src:tests python docs/report.py

Trains on the first eight sample pictures of each category and tests on all others, so that there
are mistakes to show; the sample as it is has none.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from browser import opened

ROOT = Path(__file__).resolve().parents[1]
SAMPLE, TARGET = ROOT / "tf_files" / "data", ROOT / "docs" / "report.png"
LEARNED = 8  # pictures of each category
WIDTH, HEIGHT = 1000, 1120  # pixels
COLOURS = 128  # of the PNG, which makes it a third of the size


def lay_out(data: Path) -> None:
    """Fill a data folder with a ready-made split of the sample."""
    for folder in SAMPLE.iterdir():
        for number, path in enumerate(sorted(folder.glob("*.jpg"))):
            side = "train" if number < LEARNED else "test"
            place = data / side / folder.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)


def main() -> None:
    """Train, open the report, and draw what a person sees first."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        lay_out(root / "data")
        command = [sys.executable, "-m", "retrain", "train", folder, "--fine-tune", "never"]
        subprocess.run([*command, "--no-int8"], check=True)
        with opened(root / "model" / "report.html", width=WIDTH) as page:
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            page.screenshot(path=TARGET)
    Image.open(TARGET).convert("RGB").quantize(COLOURS).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
