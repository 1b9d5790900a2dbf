"""The page in a real browser, and its server as people start it."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect, sync_playwright

from albums import workspace
from browser import CHROMIUM, CONTRASTS, READABLE, needs_browser
from commands import PATIENCE
from page import opened, served
from retrain.data.corrections import read_corrections
from retrain.evaluate.findings import Finding, write_findings

expect.set_options(timeout=1000 * PATIENCE)
HOSTILE = '"><img src=x onerror=alert(1)>\n\u202egpj.<script>alert(2)</script>.jpg'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def chosen(root: Path) -> list[tuple[str, str, str]]:
    standing = read_corrections(root / "corrections.csv").standing
    return [(one.name, one.what, one.category) for one in standing]


@needs_browser
def test_everything_can_be_done_by_keyboard_and_is_on_disk(
    browser: Browser, tmp_path: Path
) -> None:
    root = workspace(tmp_path / "tf").root
    with served(root) as (address, _), opened(browser, address) as page:
        assert "token" not in page.url
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Go to the pictures")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.locator(".tile").first).to_be_focused()
        page.keyboard.press("3")  # the categories in their order: disc, squares, stripes
        expect(page.locator(".tile").first).to_contain_text("now stripes")
        assert chosen(root) == [("disc/disc-000.jpg", "other category", "stripes")]
        expect(page.locator(".tile").nth(1)).to_be_focused()  # on to the next one
        page.keyboard.press("k")
        expect(page.locator(".tile").nth(2)).to_be_focused()
        page.keyboard.press("x")
        expect(page.get_by_role("status")).to_have_text("stripes/stripes-000.jpg: left out.")
        assert [what for _, what, _ in chosen(root)] == [
            "other category",
            "not a mistake",
            "left out",
        ]
        page.keyboard.press("u")
        expect(page.locator(".tile").nth(2)).not_to_contain_text("left out")
        assert len(chosen(root)) == 2
        page.keyboard.press("s")
        expect(page.locator(".tile").nth(2)).to_contain_text("now disc")
        page.keyboard.press("m")
        page.keyboard.type("new one")
        page.keyboard.press("Enter")
        expect(page.locator(".tile").nth(3)).to_contain_text("now new one")
        assert chosen(root)[-1] == ("squares/squares-002.jpg", "other category", "new one")
        page.reload()
        page.locator(".tile").first.wait_for()
        expect(page.locator(".tile")).to_have_count(2)  # the copy; what was decided is gone


@needs_browser
def test_many_are_chosen_at_once_by_mouse(browser: Browser, tmp_path: Path) -> None:
    root = workspace(tmp_path / "tf").root
    with served(root) as (address, _), opened(browser, address) as page:
        page.get_by_role("button", name="All pictures").click()
        expect(page.locator(".tile")).to_have_count(18)
        page.locator(".tile img").nth(2).click()
        page.locator(".tile img").nth(5).click(modifiers=["Shift"])
        expect(page.locator("#target")).to_have_text("4 pictures selected")
        page.locator("#out").click()
        expect(page.locator(".tile[data-what=out]")).to_have_count(4)
        assert len({when.when for when in read_corrections(root / "corrections.csv").standing}) == 1
        page.locator("#undo").click()
        expect(page.locator(".tile[data-what=out]")).to_have_count(0)
        assert chosen(root) == []


@needs_browser
def test_two_tabs_agree(browser: Browser, tmp_path: Path) -> None:
    root = workspace(tmp_path / "tf").root
    with (
        served(root) as (address, _),
        opened(browser, address) as one,
        opened(browser, address) as other,
    ):
        one.locator(".tile").first.get_by_role("button", name="Leave out").click()
        expect(other.locator(".tile").first).to_contain_text("left out")
        other.locator("#undo").click()
        expect(one.locator(".tile").first).not_to_contain_text("left out")


@needs_browser
def test_a_picture_that_vanishes_is_told_and_nothing_is_chosen(
    browser: Browser, tmp_path: Path
) -> None:
    root = workspace(tmp_path / "tf").root
    with served(root) as (address, _):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.locator(".tile img").first.wait_for()
        (root / "data" / "disc" / "disc-000.jpg").unlink()
        page.locator(".tile").first.get_by_role("button", name="Keep").click()
        gone = re.compile("cannot be read any more|no longer in the data folder")
        expect(page.get_by_role("alert")).to_have_text(gone)
        expect(page.locator(".tile").first).to_contain_text("changed or gone")
        context.close()
    assert chosen(root) == []


@needs_browser
def test_hostile_names_are_text(browser: Browser, tmp_path: Path) -> None:
    root = workspace(tmp_path / "tf").root
    bad = root / "data" / "disc" / HOSTILE.replace("/", "\u2215")
    (root / "data" / "disc" / "disc-000.jpg").rename(bad)
    category = "<b onclick=alert(3)>x"
    (root / "data" / "stripes").rename(root / "data" / category)
    write_findings(root, [Finding("label", (f"disc/{bad.name}",), "disc", category, 0.9, category)])
    with served(root) as (address, _), opened(browser, address) as page:
        tile = page.locator(".tile").first
        expect(tile).to_contain_text("<script>")
        expect(tile).to_contain_text("\\n\\u202egpj")
        tile.get_by_role("button", name="Move to").click()
        expect(tile).to_contain_text(f"now {category}")
        tile.locator("img").click()
        expect(page.locator("#details-name")).to_contain_text("onerror=alert(1)")
    assert chosen(root)[0][2] == category


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_can_be_read_and_used_by_everybody(
    browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    root = workspace(tmp_path / "tf").root
    how = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    with served(root) as (address, _), opened(browser, address, **how) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width

        def look() -> None:
            found = Axe().run(page)
            serious = [v for v in found.response["violations"] if v["impact"] != "minor"]
            assert serious == [], found.generate_report()
            faint = [c for c in page.evaluate(CONTRASTS) if c[1] < READABLE]
            assert [c for c in faint if c[0] not in ("Previous", "Next", "Undo", "uUndo")] == []

        look()
        page.locator(".tile img").first.click()
        page.locator("#near img").first.wait_for()
        look()
        page.locator("#details-close").click()
        page.get_by_role("button", name="Keys").click()
        look()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Train again").click()
        expect(page.locator("#train-command")).to_have_text(f"retrain train {root}")
        look()


@contextlib.contextmanager
def entered(address: str) -> Iterator[httpx.Client]:
    """Give a client that has come in by the printed address."""
    own = address.split("?")[0]
    with httpx.Client(base_url=own, follow_redirects=True, timeout=PATIENCE) as client:
        assert client.get(address).status_code == 200
        yield client


def test_killed_after_any_choice_nothing_is_lost(tmp_path: Path) -> None:
    root = workspace(tmp_path / "tf").root
    expected = []
    for round_number in range(3):
        with served(root) as (address, process), entered(address) as client:
            items = client.get("/api/items?kind=pictures&open=1").json()["items"]
            for item in items[: 2 + round_number]:
                (picture,) = item["pictures"]
                said = {"pictures": {picture["id"]: picture["sha256"]}, "choice": "out"}
                answer = client.post("/api/choose", json=said)
                assert answer.status_code == 200
                expected.append(picture["name"])
            process.kill()
            process.wait()
        assert [name for name, _, _ in chosen(root)] == expected
    with served(root) as (address, _), entered(address) as client:
        assert client.get("/api/state").json()["left_out"] == len(expected) == 9


def test_a_server_of_yesterday_lets_nobody_in_today(tmp_path: Path) -> None:
    root = workspace(tmp_path / "tf").root
    with served(root) as (address, _), entered(address) as client:
        yesterday = dict(client.cookies)
    with served(root) as (address, _):
        own = address.split("?")[0]
        assert httpx.get(own, cookies=yesterday).status_code == 401
        assert httpx.get(f"{own}page.js").status_code == 401


def test_listening_to_others_is_warned_of(tmp_path: Path) -> None:
    root = workspace(tmp_path / "tf").root
    with served(root, "--host", "0.0.0.0") as (address, process), entered(address):
        assert address.startswith("http://127.0.0.1:")
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait() == 0
        assert process.stderr is not None
        assert "can be reached from other machines" in process.stderr.read()
