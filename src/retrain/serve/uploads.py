"""Pictures as they are: the body of a request, as the Hugging Face client sends it, or a form."""

import base64
import binascii
import sys
from collections.abc import AsyncGenerator
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from retrain.infer.guess import Guess
from retrain.serve.desk import Desk, note_of, refuse_if_none
from retrain.serve.refusals import Refused

MOST_FILES = 1000  # of a form


class Uploads:
    """Answers who sends pictures themselves, with labels and scores."""

    def __init__(self, desk: Desk) -> None:
        """Answer by the models of a desk."""
        self._desk = desk

    def routes(self) -> list[Route]:
        """Return what is answered."""
        return [
            Route("/", self.guess, methods=["POST"]),
            Route("/models/{name}", self.guess, methods=["POST"]),
        ]

    async def guess(self, request: Request) -> Response:
        """Guess what was sent, by the type that the request gives its body."""
        served = self._desk.served(request.path_params.get("name", self._desk.config.name))
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        note = note_of(request)
        note.dialect = "form" if kind == "multipart/form-data" else "huggingface"
        body = await self._desk.body(request)
        if note.dialect == "form":
            names, contents = await _files(request.headers, body)
            guesses = await self._desk.guess(served.model, contents, request)
            refuse_if_none(guesses)
            found = zip(names, guesses, strict=True)
            return JSONResponse([{"name": name} | _answer(guess) for name, guess in found])
        top: int | None = None
        if kind == "application/json":
            body, top = await self._desk.understood(body, _read_inputs)
        if not body:
            raise Refused(400, "The body must be a picture file. Received: nothing.")
        guesses = await self._desk.guess(served.model, [body], request)
        refuse_if_none(guesses)
        return JSONResponse(labelled(guesses[0])[:top])


def labelled(guess: Guess) -> list[dict[str, Any]]:
    """Return scores in the Hugging Face client's words, best first."""
    return [{"label": name, "score": score} for name, score in guess.scores]


def _answer(guess: Guess) -> dict[str, Any]:
    if guess.error:
        return {"error": guess.error}
    return {"scores": labelled(guess)} | ({"unlike": True} if guess.unlike else {})


def _read_inputs(asked: Any) -> tuple[bytes, int | None]:
    """Return the file and the number of scores of `{"inputs": base64, "parameters": {...}}`."""
    if not isinstance(asked, dict) or not isinstance(asked.get("inputs"), str):
        raise Refused(400, "The body must be an object with `inputs`, the file in base64.")
    parameters = asked.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise Refused(400, "`parameters` must be an object.")
    top, function = parameters.get("top_k"), parameters.get("function_to_apply")
    if top is not None and (type(top) is not int or top < 1):
        raise Refused(400, f"`top_k` must be a number from 1 on. Received: {top!r}.")
    if function not in (None, "softmax"):
        raise Refused(400, f"Scores are probabilities, by softmax. Received: {function!r}.")
    try:
        return base64.b64decode(asked["inputs"], validate=True), top
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"`inputs` must be base64: {error}.") from None


class _InMemory(MultiPartParser):
    """Keeps files in memory, where the body is already; the disk is none of its business."""

    spool_max_size = sys.maxsize


async def _files(headers: Headers, body: bytes) -> tuple[list[str], list[bytes | Guess]]:
    """Return names and contents of the files in a form."""

    async def whole() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await _InMemory(headers, whole(), max_files=MOST_FILES).parse()
    except MultiPartException as error:
        raise Refused(400, f"The form cannot be read: {error.message}") from None
    files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
    if not files:
        raise Refused(400, "The form must hold at least one file. Received: none.")
    contents: list[bytes | Guess] = [await file.read() for file in files]
    # A form may name an encoding that makes of bytes what no answer can hold.
    names = [(file.filename or "").encode(errors="replace").decode() for file in files]
    return names, contents
