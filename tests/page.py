"""Starts the page of `retrain clean`, and opens it in a real browser."""

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from commands import PATIENCE, command, environment


@contextlib.contextmanager
def served(root: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start `retrain clean` and give its address; it is ended as Ctrl-C does."""
    line = command("clean", root, "--no-browser", "--port", "0", *options)
    with subprocess.Popen(
        line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            process.kill()
            assert process.stderr is not None
            pytest.fail(process.stderr.read())
        try:
            yield found[0], process
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                assert process.wait(PATIENCE) == 0, process.stderr and process.stderr.read()
        finally:
            process.kill()


@contextlib.contextmanager
def opened(browser: Browser, address: str, **how: Any) -> Iterator[Page]:
    """Open the page; fail if it complains, or asks for anything that is not the server's."""
    complaints: list[str] = []
    own = address.split("?")[0]
    context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **how})
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda r: None if r.url.startswith(own) else complaints.append(r.url))
    page.goto(address)
    page.locator(".tile img").first.wait_for()
    yield page
    context.close()
    assert complaints == []
