"""Opens pages in a real browser: Chromium as Debian packages it, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("RETRAIN_TEST_BROWSER") != "required",
    reason="needs chromium (apt-get install chromium)",
)

READABLE = 4.5  # least contrast of text by WCAG 2.1, AA
Scheme = Literal["light", "dark"]

# Of every element that holds text of its own: the contrast to the first ground behind it that is
# not transparent, by the formula of WCAG 2.1.
CONTRASTS = """() => {
  const channels = (text) => {
    const n = text.match(/[\\d.]+/g).map(Number);
    const unit = text.startsWith("color(") ? 1 : 255;
    return [n[0] / unit, n[1] / unit, n[2] / unit, n.length > 3 ? n[3] : 1];
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    let behind = element, ground = [0, 0, 0, 0];
    while (behind && ground[3] === 0) {
      ground = channels(getComputedStyle(behind).backgroundColor);
      behind = behind.parentElement;
    }
    const style = getComputedStyle(element);
    const ink = channels(element instanceof SVGElement ? style.fill : style.color);
    const [low, high] = [light(ink), light(ground)].sort((a, b) => a - b);
    found.push([element.textContent.trim().slice(0, 40), (high + 0.05) / (low + 0.05)]);
  }
  return found;
}"""


@contextmanager
def opened(path: Path, scheme: Scheme = "light", width: int = 1100) -> Iterator[Page]:
    """Open a file; fail if the page complains, or asks for anything that is not inside."""
    with visited(path.as_uri(), scheme, width) as page:
        yield page


@contextmanager
def visited(
    address: str,
    scheme: Scheme = "light",
    width: int = 1100,
    *,
    path: str = "",
    refused: bool = False,
    chatter: bool = False,
    **settings: Any,
) -> Iterator[Page]:
    """Open an address; fail if the page complains, or asks for anything that is not below it.

    Args:
        address: of a file, or of a server's root.
        scheme: of the colours that the user prefers.
        width: of the window in pixels.
        path: of the page, below the address.
        refused: whether the browser may say that a request was refused.
        chatter: whether the page may write to the console, as some runtimes do.
        settings: of Playwright's context, such as `has_touch`.
    """
    complaints: list[Any] = []
    said: list[str] = []

    def leaves(url: str) -> bool:
        return not url.startswith((address, "data:", f"blob:{address}"))

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}, **settings
        )
        page = context.new_page()
        page.on("console", lambda message: None if chatter else said.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: complaints.append(r.url) if leaves(r.url) else None)
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(f"{address}{path}")
        yield page
        browser.close()
    expected = "Failed to load resource" if refused else "\0"
    assert [*complaints, *(text for text in said if expected not in text)] == []


def until(page: Page, expression: str) -> None:
    """Wait until an expression holds; `wait_for_function` needs `eval`, which policies forbid."""
    for _ in range(1200):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)
