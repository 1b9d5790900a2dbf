"""The page in a real browser: by mouse, keyboard, paste and touch, in light and dark."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page

from browser import CONTRASTS, READABLE, Scheme, needs_browser, until, visited
from commands import GUESS_FILES
from pictures import draw
from retrain.run import Run
from serving import Server, started

pytestmark = [needs_browser, pytest.mark.slow]
ODD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def own(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the workspace, one of whose categories has HTML for a name."""
    root = tmp_path_factory.mktemp("page") / "tf_files"
    run = (trained / "model").resolve()
    folder = root / "runs" / run.name
    folder.mkdir(parents=True)
    for name in ("manifest.json", Run(run).reference.name, *GUESS_FILES):
        if (run / name).exists():
            shutil.copy(run / name, folder)
    values = json.loads((folder / "manifest.json").read_text())
    values["labels"] = [ODD if name == "squares" else name for name in values["labels"]]
    (folder / "manifest.json").write_text(json.dumps(values))
    (root / "model").symlink_to(Path("runs") / run.name)
    return root


@pytest.fixture(scope="module")
def page_server(own: Path) -> Iterator[Server]:
    with started(own) as server:
        yield server


def serious(page: Page) -> list[Any]:
    """Return what axe finds that keeps people out."""
    found = Axe().run(page).response["violations"]
    return [one for one in found if one["impact"] in ("serious", "critical")]


def dim(page: Page) -> list[Any]:
    return [pair for pair in page.evaluate(CONTRASTS) if pair[1] < READABLE]


def choose(page: Page, path: Path) -> None:
    page.set_input_files("#file", str(path))
    page.wait_for_selector("article")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1100, 360])
def test_a_picture_is_guessed_explained_and_readable(
    page_server: Server, trained: Path, scheme: Scheme, width: int
) -> None:
    with visited(page_server.address, scheme, width, has_touch=width < 500) as page:
        assert serious(page) == []
        assert page.is_visible("#camera") == (width < 500)
        choose(page, trained / "data" / "disc" / "disc-001.jpg")
        assert page.inner_text("h2").startswith("disc, ")
        assert page.inner_text("#state").startswith("This is disc")
        assert page.locator(".bars li").count() == 3
        page.click(".where")
        until(page, "document.querySelector('.heat').naturalWidth > 0")
        assert "lit" in (page.get_attribute(".heat", "alt") or "")
        page.click(".wrong summary")
        assert serious(page) == []
        assert dim(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_docs_are_readable(page_server: Server) -> None:
    with visited(page_server.address, width=360, path="/docs") as page:
        assert serious(page) == []
        assert dim(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_keyboard_alone_gets_everywhere(page_server: Server, trained: Path) -> None:
    with visited(page_server.address) as page:
        page.keyboard.press("Tab")
        until(page, "document.activeElement.id === 'file'")
        page.evaluate("document.activeElement.onclick = () => { window.asked = true; }")
        page.keyboard.press("Enter")
        until(page, "window.asked")  # what the browser shows then is its own
        choose(page, trained / "data" / "stripes" / "stripes-001.jpg")
        reached = set()
        for _ in range(12):
            page.keyboard.press("Tab")
            reached.add(page.evaluate("document.activeElement.className"))
        assert "where" in reached
        page.focus(".where")
        page.keyboard.press("Enter")
        until(page, "document.querySelector('.heat').naturalWidth > 0")


def test_a_picture_can_be_pasted_and_dropped(page_server: Server) -> None:
    give = """async ([kind, target]) => {
      const canvas = Object.assign(document.createElement("canvas"), {width: 40, height: 30});
      canvas.getContext("2d").fillRect(5, 5, 20, 20);
      const blob = await new Promise((done) => canvas.toBlob(done));
      const data = new DataTransfer();
      data.items.add(new File([blob], "a.png", {type: "image/png"}));
      const event = kind === "paste"
        ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true})
        : new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
      document.querySelector(target).dispatchEvent(event);
    }"""
    with visited(page_server.address) as page:
        page.evaluate(give, ["paste", "body"])
        page.wait_for_selector("article")
        page.evaluate(give, ["drop", "#drop"])
        until(page, "document.querySelectorAll('article').length === 2")


def test_a_correction_is_kept_as_a_new_picture(
    page_server: Server, own: Path, trained: Path
) -> None:
    picture = trained / "data" / "disc" / "disc-002.jpg"
    with visited(page_server.address) as page:
        choose(page, picture)
        page.click(".wrong summary")
        page.select_option("select", "stripes")
        page.click(".keep")
        until(page, "document.querySelector('.kept').textContent.startsWith('Kept')")
    (kept,) = (own / "corrections" / "stripes").iterdir()
    assert kept.read_bytes() == picture.read_bytes()
    assert kept.suffix == ".jpg"


def test_a_picture_unlike_all_others_is_said_to_be(page_server: Server, tmp_path: Path) -> None:
    path = tmp_path / "white.png"
    Image.new("RGB", (90, 80), "white").save(path)
    with visited(page_server.address) as page:
        choose(page, path)
        assert "unlike anything it learned from" in page.inner_text(".familiar")
        assert "unlike anything it learned from" in page.inner_text("#state")


def test_html_in_a_category_stays_text(page_server: Server, own: Path, tmp_path: Path) -> None:
    path = tmp_path / "squares.png"
    draw("squares", 2).save(path)
    with visited(page_server.address) as page:  # complains about any request and dialog
        choose(page, path)
        assert page.inner_text("h2").startswith(ODD)
    answer = page_server.post(f"/page/correct?category={ODD}", path.read_bytes())
    assert (answer.status_code, ODD in str(list((own / "corrections").iterdir()))) == (201, True)


def test_what_is_no_picture_is_said_and_not_a_guess(page_server: Server, tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_bytes(b"%PDF-1.7 and so on")
    with visited(page_server.address, refused=True) as page:
        page.set_input_files("#file", str(path))
        page.wait_for_selector("#state.bad")
        assert "a PDF document" in page.inner_text("#state")
        assert page.locator("article").count() == 0


def test_corrections_are_for_who_may_write(trained: Path, server: Server, photo: bytes) -> None:
    answer = server.post("/page/correct?category=disc", photo)
    assert (answer.status_code, answer.json()["error"]) == (
        403,
        "This server takes no corrections.",
    )
    assert server.post("/page/heat?category=other", photo).status_code == 400
    assert not (trained / "corrections").exists()
