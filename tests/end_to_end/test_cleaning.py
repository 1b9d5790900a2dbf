"""The whole way: train, look through what may be wrong, correct it, train again; it got better."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from browser import CHROMIUM, needs_browser
from commands import PATIENCE, QUICK, SHARED, retrain
from page import opened, served
from pictures import CATEGORIES, write_jpegs, write_workspace
from retrain.data.corrections import read_corrections

EACH, WRONG = 24, 5  # pictures of a category, and how many of them lie in another
expect.set_options(timeout=1000 * PATIENCE)


@dataclass(frozen=True)
class Planted:
    """A workspace with wrong labels.

    wrong: pictures that lie in a wrong category, with their true ones. true: a folder of correctly
    labelled pictures that are not in it. options: of its trainings. found: the share of the wrong
    labels that must be among twice as many tiles, with their true categories.
    """

    root: Path
    wrong: dict[str, str]
    true: Path
    options: tuple[str, ...]
    found: float


def planted(root: Path, categories: Sequence[str], count: int) -> dict[str, str]:
    """Move pictures of each category to the next one; return them with their true ones."""
    found = {}
    for i, category in enumerate(categories):
        other = categories[(i + 1) % len(categories)]
        paths = sorted((root / "data" / category).iterdir())
        for path in [p for p in paths if f"{category}/{p.name}" not in found][:count]:
            path.rename(root / "data" / other / path.name)
            found[f"{other}/{path.name}"] = category
    return found


def drawn(place: Path) -> Planted:
    root, true = place / "tf", place / "true"
    write_workspace(root, EACH, CATEGORIES)
    for category in CATEGORIES:
        write_jpegs(true, category, 12, start=800)
    return Planted(root, planted(root, CATEGORIES, WRONG), true, QUICK, 0.8)


def pets(place: Path) -> Planted:
    """Real photographs: a fifth tells how good the model is, 8 of each category lie elsewhere."""
    root, true, source = place / "tf", place / "true", SHARED / "data" / "pets3"
    if not source.is_dir():
        pytest.skip("the set is not here")
    categories = sorted(folder.name for folder in source.iterdir())
    for category in categories:
        for i, path in enumerate(sorted((source / category).iterdir())):
            folder = (true if i % 5 == 4 else root / "data") / category
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder)
    options = ("--fine-tune", "never", "--no-int8", "--no-relate")
    return Planted(root, planted(root, categories, 8), true, options, 0.6)


def log_loss(root: Path, pictures: Path) -> float:
    result = retrain("evaluate", root, "--data", pictures, "--json")
    assert result.returncode == 0, result.stderr
    return float(json.loads(result.stdout)["log_loss"])


@needs_browser
@pytest.mark.parametrize("made", [drawn, pets])
def test_wrong_labels_are_found_corrected_by_keyboard_and_trained_again(
    made: Callable[[Path], Planted], tmp_path: Path
) -> None:
    plan = made(tmp_path)
    root, wrong = plan.root, plan.wrong
    assert retrain("train", root, *plan.options).returncode == 0
    before = log_loss(root, plan.true)
    with sync_playwright() as driver, served(root) as (address, _):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with opened(browser, address) as page:
            labels = page.get_by_role("button", name="Labels")
            labels.click()
            expect(labels).to_have_attribute("aria-pressed", "true")  # with the list that it shows
            first = page.locator(".tile").first
            expect(first).to_contain_text("rather")
            first.focus()
            tiles = page.locator(".tile")
            for i in range(min(tiles.count(), 2 * len(wrong))):
                tile = tiles.nth(i)
                expect(tile).to_be_focused()
                name = tile.locator(".name").get_attribute("title") or ""
                is_right = f"rather {wrong.get(name)}?" in tile.inner_text()  # who looks, sees it
                page.keyboard.press("s" if is_right else "k")
                expect(tile).to_contain_text("now " if is_right else "confirmed")
            page.get_by_role("button", name="Train again").click()
            expect(page.locator("#train-changes")).to_contain_text("count as")
            page.locator("#train-start").click()
            expect(page.get_by_role("row", name="After")).to_be_visible()
            numbers = page.locator("#train-numbers tbody tr")
            was, now = (numbers.nth(i).locator("td").first.inner_text() for i in (0, 1))
            expect(page.locator("#train-note")).to_contain_text("that judged both models")
            assert float(now.split()[0]) > float(was.split()[0])
        browser.close()
    standing = read_corrections(root / "corrections.csv").standing
    right = [one for one in standing if wrong.get(one.name) == one.category]
    assert len(right) >= plan.found * len(wrong)
    after = log_loss(root, plan.true)
    print(f"{len(right)} of {len(wrong)} right, {len(standing)} said; {before:.3f} -> {after:.3f}")
    assert after < before
