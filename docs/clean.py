"""Draw docs/guide/page.png: the page of `retrain clean`, in Chromium.

    PYTHONPATH=src:tests python docs/clean.py

Of the sample, some pictures of each category are put into another one, so that there is something
to find.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from browser import CHROMIUM
from page import opened, served

ROOT = Path(__file__).resolve().parents[1]
SAMPLE, TARGET = ROOT / "tf_files" / "data", ROOT / "docs" / "guide" / "page.png"
WRONG = 3  # pictures of each category
WIDTH, HEIGHT = 1180, 860  # pixels
COLOURS = 128  # of the PNG, which makes it a third of the size


def mix_up(data: Path) -> None:
    """Put some pictures of each category into the next one."""
    shutil.copytree(SAMPLE, data)
    folders = sorted(data.iterdir())
    for folder, other in zip(folders, [*folders[1:], folders[0]], strict=True):
        for path in sorted(folder.glob(f"{folder.name}*"))[5::20][:WRONG]:
            path.rename(other / path.name)


def main() -> None:
    """Train, open the page, correct one picture, and draw it."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        root = Path(folder) / "tf_files"
        root.mkdir()
        mix_up(root / "data")
        command = [sys.executable, "-m", "retrain", "train", str(root), "--fine-tune", "never"]
        subprocess.run([*command, "--no-int8"], check=True)
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        how = {"viewport": {"width": WIDTH, "height": HEIGHT}}
        with served(root) as (address, _), opened(browser, address, **how) as page:
            page.evaluate("document.getElementById('workspace').textContent = 'tf_files'")
            page.locator(".tile").first.focus()
            page.keyboard.press("s")
            page.locator(".tile").nth(1).focus()
            page.keyboard.press("Enter")
            page.locator("#near img").first.wait_for()
            page.wait_for_load_state("networkidle")
            page.evaluate("document.getElementById('workspace').textContent = 'tf_files'")
            page.screenshot(path=TARGET)
        browser.close()
    Image.open(TARGET).convert("RGB").quantize(COLOURS).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
