"""The whole way: train, look through what may be wrong, correct it, train again; it got better."""

import json
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from browser import CHROMIUM, needs_browser
from commands import PATIENCE, QUICK, retrain
from page import opened, served
from pictures import CATEGORIES, write_jpegs, write_workspace
from retrain.data.corrections import read_corrections

EACH, WRONG = 24, 5  # pictures of a category, and how many of them lie in another
expect.set_options(timeout=1000 * PATIENCE)


def planted(root: Path) -> dict[str, str]:
    """Return pictures that lie in a wrong category, with their true ones."""
    write_workspace(root, EACH, CATEGORIES)
    found = {}
    for i, category in enumerate(CATEGORIES):
        other = CATEGORIES[(i + 1) % 3]
        for path in sorted((root / "data" / category).iterdir())[:WRONG]:
            if path.name.startswith(category):
                path.rename(root / "data" / other / path.name)
                found[f"{other}/{path.name}"] = category
    return found


def accuracy(root: Path, pictures: Path) -> float:
    result = retrain("evaluate", root, "--data", pictures, "--json")
    assert result.returncode == 0, result.stderr
    return float(json.loads(result.stdout)["accuracy"])


@needs_browser
def test_wrong_labels_are_found_corrected_by_keyboard_and_trained_again(tmp_path: Path) -> None:
    root, true = tmp_path / "tf", tmp_path / "true"
    wrong = planted(root)
    for category in CATEGORIES:
        write_jpegs(true, category, 12, start=800)
    assert retrain("train", root, *QUICK).returncode == 0
    before = accuracy(root, true)
    with sync_playwright() as driver, served(root) as (address, _):
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        with opened(browser, address) as page:
            page.get_by_role("button", name="Labels").click()
            first = page.locator(".tile").first
            expect(first).to_contain_text("rather")
            first.focus()
            tiles = page.locator(".tile")
            for i in range(min(tiles.count(), len(wrong))):
                expect(tiles.nth(i)).to_be_focused()
                page.keyboard.press("s")
                expect(tiles.nth(i)).to_contain_text("now ")
            page.get_by_role("button", name="Train again").click()
            expect(page.locator("#train-changes")).to_contain_text("count as another category")
            page.locator("#train-start").click()
            expect(page.get_by_role("row", name="After")).to_be_visible()
            numbers = page.locator("#train-numbers tbody tr")
            was, now = (numbers.nth(i).locator("td").first.inner_text() for i in (0, 1))
            assert float(now.split()[0]) > float(was.split()[0])
        browser.close()
    standing = read_corrections(root / "corrections.csv").standing
    right = [one for one in standing if wrong.get(one.name) == one.category]
    assert len(right) >= 0.8 * len(wrong)
    assert len(right) >= 0.8 * len(standing)
    assert accuracy(root, true) >= before
