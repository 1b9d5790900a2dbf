"""The page's server, asked as browsers and strangers ask it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from albums import review, workspace
from retrain.clean.album import Shown
from retrain.clean.app import Helpers, Page, page_app
from retrain.clean.thumbnails import Thumbnails
from retrain.clean.training import Training
from retrain.data.corrections import read_corrections
from retrain.data.images import Pixels

TOKEN = "token-of-this-test"
OWN = "http://127.0.0.1:8000"


def heat(shown: Shown, category: str) -> Pixels:
    assert category == "stripes"
    return np.zeros((8, 8, 3), np.uint8)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    place = workspace(tmp_path / "tf")
    command = [sys.executable, "-c", "print('learning', flush=True); print('learned')"]
    return Page(
        review(place),
        Thumbnails(place.bottlenecks),
        Training(place, command, "retrain train tf"),
        Helpers(
            neighbours=lambda shown: [one.id for one in review(place).album.all()][:3], heat=heat
        ),
    )


def ask(page: Page, method: str, path: str, said: Any = None, **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {TOKEN}", "origin": OWN, **headers}
    content = said if isinstance(said, bytes | None) else json.dumps(said).encode()

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(page_app(page, TOKEN))
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
            return await client.request(method, path, content=content, headers=sent)

    return asyncio.run(answer())


def first(page: Page) -> dict[str, Any]:
    picture: dict[str, Any] = ask(page, "GET", "/api/items").json()["items"][0]["pictures"][0]
    return picture


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/page.js", "text/javascript"),
        ("/page.css", "text/css"),
        ("/icon.svg", "image/svg"),
    ],
)
def test_the_page_comes_with_its_files_and_a_strict_policy(
    page: Page, path: str, kind: str
) -> None:
    answer = ask(page, "GET", path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http" not in answer.text.replace("http://www.w3.org/2000/svg", "")


def test_a_choice_is_answered_with_what_changed(page: Page) -> None:
    picture = first(page)
    said = {"pictures": {picture["id"]: picture["sha256"]}, "choice": "move", "category": "stripes"}
    answer = ask(page, "POST", "/api/choose", said)
    assert answer.status_code == 200
    assert answer.json()["changed"][0]["category"] == "stripes"
    assert read_corrections(page.review.workspace.corrections).last()[0].category == "stripes"
    ids = f"/api/pictures?ids={picture['id']},nobody,"
    assert [one["what"] for one in ask(page, "GET", ids).json()["pictures"]] == ["move"]
    assert ask(page, "POST", "/api/undo", {}).json()["changed"][0]["what"] == ""


def test_pictures_are_shown_by_their_content(page: Page) -> None:
    picture = first(page)
    address = f"/picture/{picture['id']}/{picture['sha256']}"
    small = ask(page, "GET", f"{address}/small.jpg")
    assert small.headers["content-type"] == "image/jpeg"
    assert "immutable" in small.headers["cache-control"]
    assert ask(page, "GET", f"{address}/large.jpg").content.startswith(b"\xff\xd8")
    assert ask(page, "GET", f"/picture/{picture['id']}/{'0' * 64}/small.jpg").status_code == 410
    drawn = ask(page, "GET", f"/heat/{picture['id']}/{picture['sha256']}.png?category=stripes")
    assert drawn.content.startswith(b"\x89PNG")
    near = ask(page, "GET", f"/api/picture/{picture['id']}").json()["neighbours"]
    assert len(near) == 3


def test_a_picture_that_was_replaced_is_known_anew(page: Page) -> None:
    picture = first(page)
    data = page.review.workspace.data
    (data / picture["name"]).write_bytes((data / "squares" / "squares-000.jpg").read_bytes())
    address = f"/picture/{picture['id']}/{picture['sha256']}/small.jpg"
    assert ask(page, "GET", address).status_code == 410
    (again,) = ask(page, "GET", f"/api/pictures?ids={picture['id']}").json()["pictures"]
    assert again["sha256"] != picture["sha256"]
    said = {"pictures": {picture["id"]: picture["sha256"]}, "choice": "out"}
    refused = ask(page, "POST", "/api/choose", said)
    assert refused.status_code == 409
    assert list(refused.json()["problems"]) == [picture["id"]]
    assert not page.review.workspace.corrections.exists()


@pytest.mark.parametrize(
    "said",
    [
        b"no json",
        b"[]",
        b"[" * 100_000,
        {},
        {"pictures": [], "choice": "keep"},
        {"pictures": {}, "choice": "keep"},
        {"pictures": {"a": 7}, "choice": "keep"},
        {"pictures": {"a": "b"}, "choice": "explode"},
        {"pictures": {"a": "b"}, "choice": ["keep"]},
        {"pictures": {"a": "b"}, "choice": "move", "category": 7},
        {"pictures": {"a": "b"}, "choice": "move", "category": "../../etc"},
        {"pictures": {str(i): "b" for i in range(2001)}, "choice": "keep"},
    ],
)
def test_nonsense_is_refused_and_writes_nothing(page: Page, said: Any) -> None:
    assert ask(page, "POST", "/api/choose", said).status_code == 400
    assert not page.review.workspace.corrections.exists()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/items?first=-1", 400),
        ("/api/items?first=\u0661", 400),
        ("/api/items?first=99999999999999999999", 400),
        ("/api/items?kind=nothing&category=%00", 200),
        ("/api/picture/nobody", 404),
        ("/picture/../../../etc/passwd", 404),
        ("/picture/..%2f..%2fetc%2fpasswd/0/small.jpg", 404),
        ("/static/page.js", 404),
        ("/corrections.csv", 404),
        ("/api/choose", 405),
    ],
)
def test_odd_addresses_lead_nowhere(page: Page, path: str, status: int) -> None:
    assert ask(page, "GET", path).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer guessed"}, 401),
        ({"host": "evil.example"}, 421),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_strangers_and_other_sites_are_refused(
    page: Page, headers: dict[str, str], status: int
) -> None:
    for path in ("/api/choose", "/api/undo", "/api/training/start", "/api/training/stop"):
        assert ask(page, "POST", path, {}, **headers).status_code == status
    if status != 403:
        assert ask(page, "GET", "/api/items", **headers).status_code == status


def test_a_body_that_is_too_long_is_refused(page: Page) -> None:
    assert ask(page, "POST", "/api/choose", b" " * (2 << 20)).status_code == 413


def test_what_the_machine_refuses_is_told(page: Page) -> None:
    picture = first(page)
    page.review.workspace.corrections.mkdir()
    said = {"pictures": {picture["id"]: picture["sha256"]}, "choice": "out"}
    answer = ask(page, "POST", "/api/choose", said)
    assert answer.status_code == 507
    assert "corrections.csv" in answer.json()["error"]


def test_a_training_tells_what_it_does(page: Page) -> None:
    before = ask(page, "GET", "/api/training").json()
    assert (before["command"], before["running"], before["before"]) == (
        "retrain train tf",
        False,
        None,
    )
    ask(page, "POST", "/api/training/start", {})
    while (now := ask(page, "GET", "/api/training").json())["running"] or len(now["said"]) < 2:
        pass
    assert now["said"] == ["learning", "learned"]
    assert now["code"] == 0


def test_a_training_can_be_stopped(page: Page, tmp_path: Path) -> None:
    waiting = [sys.executable, "-c", "import time; print('on', flush=True); time.sleep(600)"]
    training = Training(page.review.workspace, waiting, "retrain train tf")
    assert training.start()
    assert not training.start()
    while not training.state()["said"]:
        pass
    training.stop()
    assert training.state()["code"] != 0
