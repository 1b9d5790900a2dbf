"""The page of `retrain clean` from a container, in a browser outside of it."""

import re
import signal
import subprocess
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from browser import CHROMIUM, needs_browser
from containers import PATIENCE, Project
from page import opened
from retrain.data.corrections import read_corrections


@needs_browser
def test_a_choice_on_the_page_is_the_callers_file(project: Project, own: Path) -> None:
    for i in range(3):  # squares among the discs
        path = own / "data" / "squares" / f"squares-{i:03d}.jpg"
        path.rename(own / "data" / "disc" / path.name)
    checked = project.run("retrain.sh", "check", own)
    assert checked.returncode == 0, checked.stderr
    line = project.line("retrain.sh", "clean", own, "--no-browser", "--port", "0")
    with subprocess.Popen(
        line, env=project.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://\S+", process.stdout.readline())
            assert address
            with sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
                with opened(browser, address[0]) as page:
                    first = page.locator(".tile").first
                    first.focus()
                    page.keyboard.press("k")
                    expect(first).to_contain_text("confirmed")
                browser.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    (said,) = read_corrections(own / "corrections.csv").standing
    assert (own / "data" / said.name).is_file()
    assert (own / "corrections.csv").stat().st_uid == own.stat().st_uid
