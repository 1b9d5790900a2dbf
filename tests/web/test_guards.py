"""The guards of pages and servers, asked as browsers and strangers ask them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from retrain.web import guards

TOKEN = "a-token-of-this-test"
OWN = "http://127.0.0.1:8000"


async def length(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def application(limit: int = guards.PAGE_BODY, names: tuple[str, ...] = ()) -> Starlette:
    routes = [Route("/", length, methods=["GET", "POST"]), Route("/{rest:path}", length)]
    return Starlette(routes=routes, middleware=guards.page_guards(TOKEN, names, limit))


def ask(
    method: str,
    path: str = "/",
    app: Starlette | None = None,
    headers: Any = (),
    content: Any = None,
) -> httpx.Response:
    """Ask an app as someone who has the token, unless `headers` say otherwise."""
    said = {"authorization": f"Bearer {TOKEN}", **dict(headers)}

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app or application())
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
            return await client.request(method, path, headers=said, content=content)

    return asyncio.run(answer())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8000", 200),
        ("192.168.1.7:8000", 200),
        ("my-machine:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8000", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_only_hosts_that_no_stranger_can_bend_are_answered(host: str, status: int) -> None:
    app = application(names=("My-Machine",))
    assert ask("GET", app=app, headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a program
        ({"origin": OWN}, 200),
        ({"origin": OWN, "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_other_sites_pages_cannot_change_anything(headers: dict[str, str], status: int) -> None:
    assert ask("POST", headers=headers).status_code == status
    assert ask("GET", headers=headers).status_code == 200


def test_a_token_in_the_address_becomes_a_cookie() -> None:
    strange = {"authorization": ""}
    assert ask("GET", headers=strange).status_code == 401
    assert ask("GET", "/?token=guessed", headers=strange).status_code == 401
    entered = ask("GET", f"/look%20here?page=2&token={TOKEN}", headers=strange)
    assert entered.status_code == 303
    assert entered.headers["location"] == "/look%20here?page=2"
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    known = {**strange, "cookie": cookie.split(";")[0]}
    assert ask("GET", headers=known).status_code == 200
    assert ask("GET", headers={**strange, "cookie": "a=b; =; ,;\x01"}).status_code == 401


def test_a_token_does_not_lead_to_another_server() -> None:
    entered = ask("GET", f"{OWN}//evil.example/?token={TOKEN}", headers={"authorization": ""})
    assert entered.headers["location"] == "/evil.example/"


def test_a_token_in_the_address_allows_no_change() -> None:
    assert ask("POST", f"/?token={TOKEN}", headers={"authorization": ""}).status_code == 401


def test_refusals_are_guarded_like_answers() -> None:
    for answer in (ask("GET"), ask("GET", headers={"host": "evil.example"})):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers


def test_a_body_may_be_as_long_as_allowed_and_no_longer() -> None:
    app = application(limit=1000)
    assert ask("POST", app=app, content=b"x" * 1000).text == "1000"
    assert ask("POST", app=app, content=b"x" * 1001).status_code == 413


def test_a_body_of_no_stated_length_is_counted() -> None:
    async def pieces(count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 100

    app = application(limit=1000)
    assert ask("POST", app=app, content=pieces(10)).text == "1000"
    assert ask("POST", app=app, content=pieces(11)).status_code == 413


@pytest.mark.parametrize("stated", ["-1", "1e3", "\u0661"])
def test_a_length_that_is_no_number_is_refused(stated: str) -> None:
    headers = {"content-length": stated.encode()}
    assert ask("POST", headers=headers).status_code == 400
