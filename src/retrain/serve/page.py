"""The page at `/`, and what it asks for; `/docs`, which tells of everything else."""

import io
from importlib.resources import files
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from retrain.data.images import Pixels
from retrain.errors import InputsFailed
from retrain.infer.guess import UNLIKE
from retrain.serve.corrections import Corrections
from retrain.serve.desk import Desk, note_of, refuse_if_none
from retrain.serve.hosted import Served
from retrain.serve.refusals import Refused
from retrain.serve.uploads import labelled
from retrain.version import VERSION

ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
DARK = 0.3  # of the light that is left where a heat map is cold


class Page:
    """Serves people."""

    def __init__(self, desk: Desk, corrections: Corrections | None) -> None:
        """Serve the models of a desk; `corrections` is None where none are taken."""
        self._desk, self._corrections = desk, corrections
        self._files = files("retrain.serve") / "pages"
        self._templates = jinja2.Environment(
            loader=jinja2.FunctionLoader(lambda name: (self._files / name).read_text("utf-8")),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def routes(self) -> list[Route]:
        """Return what is answered."""
        return [
            Route("/", self.page, methods=["GET"]),
            Route("/docs", self.docs, methods=["GET"]),
            Route("/page/guess", self.guess, methods=["POST"]),
            Route("/page/heat", self.heat, methods=["POST"]),
            Route("/page/correct", self.correct, methods=["POST"]),
            Route("/page/{asset}", self.asset, methods=["GET"]),
        ]

    async def page(self, request: Request) -> Response:
        """Show the page."""
        served = self._served(request)
        values = {
            "categories": served.model.categories,
            "can_correct": self._corrections is not None,
            "in_words": served.manifest.metrics.get("in_words") or [],
        }
        return self._rendered("page.html.jinja", served, values)

    async def docs(self, request: Request) -> Response:
        """Show how programs ask."""
        served = self._served(request)
        with_token = "authorization" in request.headers or "cookie" in request.headers
        values = {
            "base": str(request.base_url).rstrip("/"),
            "category": served.model.categories[0],
            "size": served.manifest.size,
            "version": served.version,
            "token": ' -H "Authorization: Bearer $RETRAIN_TOKEN"' if with_token else "",
            "config": self._desk.config,
        }
        return self._rendered("docs.html.jinja", served, values)

    async def asset(self, request: Request) -> Response:
        """Give the page's style and script."""
        note_of(request).dialect = "page"
        name = request.path_params["asset"]
        if name not in ASSETS:
            raise Refused(404, "There is no such file.")
        return Response((self._files / name).read_bytes(), media_type=ASSETS[name])

    async def guess(self, request: Request) -> Response:
        """Guess one picture."""
        served = self._served(request)
        guesses = await self._desk.guess(served.model, [await self._desk.body(request)], request)
        refuse_if_none(guesses)
        found = guesses[0]
        familiar = f"The picture is {UNLIKE}: its scores say little." if found.unlike else ""
        return JSONResponse({"scores": labelled(found), "familiar": familiar})

    async def heat(self, request: Request) -> Response:
        """Draw what of a picture speaks for a category."""
        served = self._served(request)
        category = self._category(served, request)
        body = await self._desk.body(request)

        def draw(content: bytes) -> bytes | None:
            activation = served.activation()
            if activation is None:
                return None
            pixels = served.model.pixels(content)
            index = served.model.categories.index(category)
            return png(lit(pixels, activation.heat(pixels, index)))

        try:
            (drawn,) = await self._desk.compute(draw, [body], request)
        except InputsFailed as error:
            raise Refused(400, str(error)) from None
        if drawn is None:
            raise Refused(404, "This network does not allow heat maps; see `retrain explain`.")
        return Response(drawn, media_type="image/png")

    async def correct(self, request: Request) -> Response:
        """Keep a picture for the next training, with what it really shows."""
        served = self._served(request)
        if self._corrections is None:
            raise Refused(403, "This server takes no corrections.")
        category = self._category(served, request)
        body = await self._desk.body(request)
        guesses = await self._desk.guess(served.model, [body], request)
        refuse_if_none(guesses)
        self._corrections.keep(body, guesses[0].extension, category)
        return JSONResponse({"kept": category}, 201)

    def _served(self, request: Request) -> Served:
        note_of(request).dialect = "page"
        return self._desk.hosted.served

    def _category(self, served: Served, request: Request) -> str:
        category = request.query_params.get("category", "")
        if category not in served.model.categories:
            raise Refused(400, f"There is no category {category!r}.")
        return category

    def _rendered(self, template: str, served: Served, values: dict[str, Any]) -> Response:
        shared = {"name": self._desk.config.name, "run": served.manifest.run, "release": VERSION}
        return HTMLResponse(self._templates.get_template(template).render(**shared, **values))


def lit(pixels: Pixels, heat: NDArray[np.float32]) -> Pixels:
    """Return a picture in colour where heat [size, size], 0..1, is high, else grey and dark."""
    grey = pixels.mean(axis=-1, keepdims=True) * DARK
    share = heat[..., np.newaxis]
    return np.asarray(share * pixels + (1 - share) * grey, np.uint8)


def png(pixels: Pixels) -> bytes:
    """Return a PNG file of uint8 [height, width, 3]."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=3)
    return file.getvalue()
