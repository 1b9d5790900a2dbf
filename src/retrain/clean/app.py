"""The page's server: every address of it, and nothing of how it is started."""

import io
import json
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from retrain.clean.album import Shown
from retrain.clean.review import MOST_CHOSEN, Asked, Choice, NotAsShown, Review
from retrain.clean.thumbnails import EDGE, LARGE, PictureChanged, Thumbnails
from retrain.clean.training import Training
from retrain.data.images import Pixels
from retrain.errors import MachineError, RetrainError
from retrain.web.guards import page_guards

FILES = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
CHOICES: tuple[Choice, ...] = ("keep", "move", "out", "back")
FOR_EVER = {"cache-control": "private, max-age=31536000, immutable"}  # addresses hold the content

Json = dict[str, Any]


@dataclass(frozen=True)
class Helpers:
    """What the page can do besides, each slow at its first use; None where it cannot.

    neighbours: returns the ids of the pictures nearest to one.
    heat: draws what in a picture speaks for a category, [size, size, 3].
    has_model: whether it can do so by now.
    check: looks for findings anew.
    """

    neighbours: Callable[[Shown], list[str]] | None = None
    heat: Callable[[Shown, str], Pixels] | None = None
    has_model: Callable[[], bool] = lambda: True
    check: Callable[[], None] | None = None


@dataclass(frozen=True)
class Page:
    """The parts of the page."""

    review: Review
    thumbnails: Thumbnails
    training: Training
    helpers: Helpers = field(default_factory=Helpers)


def page_app(page: Page, token: str, names: Collection[str] = ()) -> Starlette:
    """Return the ASGI application.

    Args:
        page: what it shows.
        token: that lets a person in.
        names: under which it is reached, beside localhost and numeric addresses.
    """
    routes = [
        Route("/", _file("page.html")),
        *(Route(f"/{name}", _file(name)) for name in FILES if name != "page.html"),
        Route("/api/state", _json(page, _state)),
        Route("/api/items", _json(page, _items)),
        Route("/api/pictures", _json(page, _pictures)),
        Route("/api/picture/{id}", _json(page, _details)),
        Route("/api/choose", _json(page, _choose), methods=["POST"]),
        Route("/api/undo", _json(page, _undo), methods=["POST"]),
        Route("/api/check", _json(page, _check), methods=["POST"]),
        Route("/api/training", _json(page, _training)),
        Route("/api/training/start", _json(page, _start), methods=["POST"]),
        Route("/api/training/stop", _json(page, _stop), methods=["POST"]),
        Route("/picture/{id}/{sha256}/{size}.jpg", _picture(page)),
        Route("/heat/{id}/{sha256}.png", _heat(page)),
    ]
    return Starlette(routes=routes, middleware=page_guards(token, names))


def _file(name: str) -> Callable[[Request], Awaitable[Response]]:
    content = (resources.files("retrain.clean") / "static" / name).read_bytes()

    async def answer(_: Request) -> Response:
        return Response(content, media_type=FILES[name], headers={"cache-control": "no-cache"})

    return answer


def _json(
    page: Page, work: Callable[[Page, Request, Json], Json]
) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that does some work in a thread and answers in JSON."""

    async def answer(request: Request) -> Response:
        said = await _body(request) if request.method == "POST" else {}
        try:
            return JSONResponse(await run_in_threadpool(work, page, request, said))
        except NotAsShown as error:
            return JSONResponse({"error": str(error), "problems": error.problems}, 409)
        except MachineError as error:
            return JSONResponse({"error": str(error)}, 507)
        except RetrainError as error:
            return JSONResponse({"error": str(error)}, 400)

    return answer


async def _body(request: Request) -> Json:
    """Return what a request says.

    Raises:
        HTTPException: it is no JSON object.
    """
    content = await request.body()
    try:
        said = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise HTTPException(400, "The body must be a JSON object.")
    return said


def _state(page: Page, _: Request, __: Json) -> Json:
    can = page.helpers
    return {
        **page.review.state(),
        "name": str(page.review.workspace.root),
        "can": {
            "neighbours": can.neighbours is not None,
            "heat": can.heat is not None and can.has_model(),
            "check": can.check is not None,
        },
        "training": page.training.state()["running"],
    }


def _items(page: Page, request: Request, _: Json) -> Json:
    query = request.query_params
    first = query.get("first", "0")
    if not (first.isascii() and first.isdigit()) or len(first) > 9:
        raise HTTPException(400, "The first one must be a number.")
    asked = Asked(
        kind=query.get("kind", ""),
        category=query.get("category", ""),
        is_open=query.get("open") == "1",
        first=int(first),
    )
    return page.review.listed(asked)


def _pictures(page: Page, request: Request, _: Json) -> Json:
    numbers = request.query_params.get("ids", "").split(",")[:MOST_CHOSEN]
    found = [page.review.album.find(number) for number in numbers]
    there = [page.review.described(one) for one in found if one is not None]
    return {"pictures": there}


def _details(page: Page, request: Request, _: Json) -> Json:
    shown = _found(page, request)
    near = page.helpers.neighbours(shown) if page.helpers.neighbours else []
    found = [page.review.album.find(number) for number in near]
    return {
        **page.review.described(shown),
        "neighbours": [page.review.described(one) for one in found if one is not None],
    }


def _choose(page: Page, request: Request, said: Json) -> Json:
    seen, choice, category = said.get("pictures"), said.get("choice"), said.get("category", "")
    if not isinstance(seen, dict) or not all(isinstance(sha256, str) for sha256 in seen.values()):
        raise HTTPException(400, "The pictures must be an object of ids and sha256.")
    if choice not in CHOICES or not isinstance(category, str):
        raise HTTPException(400, f"The choice must be one of {', '.join(CHOICES)}.")
    if not 0 < len(seen) <= MOST_CHOSEN:
        raise HTTPException(400, f"A choice is about 1 to {MOST_CHOSEN} pictures.")
    changed = page.review.choose(seen, choice, category)
    return {"changed": changed, "state": _state(page, request, said)}


def _undo(page: Page, request: Request, said: Json) -> Json:
    return {"changed": page.review.undo(), "state": _state(page, request, said)}


def _check(page: Page, request: Request, said: Json) -> Json:
    if page.helpers.check is None:
        raise HTTPException(404)
    page.helpers.check()
    return _state(page, request, said)


def _training(page: Page, _: Request, __: Json) -> Json:
    return page.training.state()


def _start(page: Page, _: Request, __: Json) -> Json:
    page.training.start()
    return page.training.state()


def _stop(page: Page, _: Request, __: Json) -> Json:
    page.training.stop()
    return page.training.state()


def _found(page: Page, request: Request) -> Shown:
    shown = page.review.album.find(request.path_params["id"])
    if shown is None:
        raise HTTPException(404, "There is no such picture.")
    if request.path_params.get("sha256", shown.sha256) != shown.sha256:
        raise HTTPException(410, "The picture was changed since it was shown.")
    return shown


def _image(
    work: Callable[[Request], bytes], media_type: str, headers: dict[str, str]
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            content = await run_in_threadpool(work, request)
        except PictureChanged as error:
            return Response(str(error), 410, media_type="text/plain")
        except RetrainError as error:
            return Response(str(error), 400, media_type="text/plain")
        return Response(content, media_type=media_type, headers=headers)

    return answer


def _picture(page: Page) -> Callable[[Request], Awaitable[Response]]:
    edges = {"small": EDGE, "large": LARGE}

    def jpeg(request: Request) -> bytes:
        shown = _found(page, request)
        size = request.path_params["size"]
        if size not in edges:
            raise HTTPException(404)
        try:
            return page.thumbnails.jpeg(shown.path, shown.sha256, edges[size])
        except PictureChanged:
            page.review.album.unchanged(shown, shown.sha256)  # so that it is known anew
            raise

    return _image(jpeg, "image/jpeg", FOR_EVER)


def _heat(page: Page) -> Callable[[Request], Awaitable[Response]]:
    def png(request: Request) -> bytes:
        shown = _found(page, request)
        if page.helpers.heat is None:
            raise HTTPException(404)
        file = io.BytesIO()
        drawn = page.helpers.heat(shown, request.query_params.get("category", ""))
        Image.fromarray(drawn).save(file, "PNG")
        return file.getvalue()

    return _image(png, "image/png", {})
