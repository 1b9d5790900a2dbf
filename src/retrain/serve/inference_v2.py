"""The Open Inference Protocol, version 2: `/v2`, as KServe, Triton and their clients speak it.

A picture that cannot be read has the class "" and scores that are not numbers, as in the
SavedModel, and its reason in the output `errors`. How usual a picture is for the model is the
output `familiar`, 0..1; it is not a number where the model cannot tell.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from retrain.data.images import Pixels
from retrain.infer.guess import Guess
from retrain.serve.desk import Desk, note_of
from retrain.serve.hosted import Served
from retrain.serve.refusals import Refused
from retrain.serve.tensors import InferRequest, Tensor, Wanted, read_request, write_answer
from retrain.version import VERSION

FILES, PIXELS = "image_bytes", "pixels"
USUAL = ("classes", "scores")
LIVE, READY = "/v2/health/live", "/v2/health/ready"
_LENGTH = "Inference-Header-Content-Length"


class InferenceV2:
    """Answers in the words of the Open Inference Protocol."""

    def __init__(self, desk: Desk) -> None:
        """Answer by the models of a desk."""
        self._desk = desk

    def routes(self) -> list[Route]:
        """Return what is answered."""
        found = [
            Route("/v2", self.server, methods=["GET"]),
            Route(LIVE, self.healthy, methods=["GET"]),
            Route(READY, self.healthy, methods=["GET"]),
            Route("/v2/repository/index", self.index, methods=["POST"]),
        ]
        for place in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            found += [
                Route(place, self.metadata, methods=["GET"]),
                Route(f"{place}/ready", self.ready, methods=["GET"]),
                Route(f"{place}/infer", self.infer, methods=["POST"]),
            ]
        return found

    async def server(self, request: Request) -> Response:
        """Tell what server this is."""
        note_of(request).dialect = "v2"
        extensions = ["binary_tensor_data", "model_repository"]
        return JSONResponse({"name": "retrain", "version": VERSION, "extensions": extensions})

    async def healthy(self, request: Request) -> Response:
        """Answer that all is well: a server that answers has a model."""
        note_of(request).dialect = "v2"
        return JSONResponse({})

    async def index(self, request: Request) -> Response:
        """List the one model."""
        note_of(request).dialect = "v2"
        version = self._desk.hosted.served.version
        entry = {"name": self._desk.config.name, "version": version, "state": "READY", "reason": ""}
        return JSONResponse([entry])

    async def ready(self, request: Request) -> Response:
        """Tell that the model is ready."""
        self._served(request)
        return JSONResponse({})

    async def metadata(self, request: Request) -> Response:
        """Tell the model's input and outputs; `pixels` is another input, in the other's place."""
        served = self._served(request)
        count = len(served.model.categories)
        return JSONResponse(
            {
                "name": self._desk.config.name,
                "versions": [served.version],
                "platform": "retrain_litert",
                "inputs": [{"name": FILES, "datatype": "BYTES", "shape": [-1]}],
                "outputs": [
                    {"name": "classes", "datatype": "BYTES", "shape": [-1, count]},
                    {"name": "scores", "datatype": "FP32", "shape": [-1, count]},
                    {"name": "probabilities", "datatype": "FP32", "shape": [-1, count]},
                    {"name": "familiar", "datatype": "FP32", "shape": [-1]},
                    {"name": "errors", "datatype": "BYTES", "shape": [-1]},
                ],
            }
        )

    async def infer(self, request: Request) -> Response:
        """Guess pictures."""
        served = self._served(request)
        body = await self._desk.body(request)
        head, data = _parted(body, request.headers.get(_LENGTH))
        asked = await self._desk.understood(head, lambda header: read_request(header, data))
        guesses = await self._guesses(served, asked, request)
        known = _outputs(guesses, served.model.categories)
        usual = [*USUAL, "errors"] if any(guess.error for guess in guesses) else USUAL
        wanted = asked.outputs or tuple(Wanted(name, asked.binary) for name in usual)
        for one in wanted:
            if one.name not in known:
                known_names = ", ".join(known)
                raise Refused(400, f"An output must be of {known_names}. Received: {one.name!r}.")
        answer: dict[str, Any] = {
            "model_name": self._desk.config.name,
            "model_version": served.version,
        }
        if asked.id:
            answer["id"] = asked.id
        tensors = [known[one.name] for one in wanted]
        text, length = write_answer(answer, tensors, [one.binary for one in wanted])
        if length is None:
            return Response(text, media_type="application/json")
        return Response(text, headers={_LENGTH: str(length)}, media_type="application/octet-stream")

    async def _guesses(self, served: Served, asked: InferRequest, request: Request) -> list[Guess]:
        model = served.model
        if len(asked.inputs) != 1 or asked.inputs[0].name not in (FILES, PIXELS):
            names = ", ".join(repr(each.name) for each in asked.inputs)
            raise Refused(
                400, f"There must be one input, {FILES!r} or {PIXELS!r}. Received: {names}."
            )
        (given,) = asked.inputs
        if given.name == FILES:
            if given.datatype != "BYTES":
                raise Refused(400, f"Input {FILES!r} must be BYTES. Received: {given.datatype}.")
            return await self._desk.guess(model, list(given.values), request)
        size = served.manifest.size
        if given.datatype != "UINT8" or given.shape[1:] != (size, size, 3):
            raise Refused(
                400,
                f"Input {PIXELS!r} must be UINT8 [n, {size}, {size}, 3]. "
                f"Received: {given.datatype} {list(given.shape)}.",
            )

        def guess(pixels: Pixels) -> Guess:
            return Guess(pixels, model.categories, model.probabilities(pixels[np.newaxis])[0])

        pictures = np.asarray(given.values, np.uint8).reshape(given.shape)
        return await self._desk.compute(guess, list(pictures), request)

    def _served(self, request: Request) -> Served:
        note_of(request).dialect = "v2"
        return self._desk.served(**request.path_params)


def _parted(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    """Return the JSON of a body, and the bytes behind it."""
    if length is None:
        return body, b""
    if not (length.isascii() and length.isdigit() and int(length) <= len(body)):
        raise Refused(
            400, f"{_LENGTH} must be a number within the body. Received: {length[:20]!r}."
        )
    return body[: int(length)], body[int(length) :]


def _outputs(guesses: list[Guess], categories: tuple[str, ...]) -> dict[str, Tensor]:
    """Return all outputs by name; a picture that could not be read has "" and NaN in its row."""
    count = len(categories)
    shape = (len(guesses), count)
    nothing: NDArray[np.float32] = np.full(count, np.nan, np.float32)
    shares = [nothing if guess.error else guess.probabilities for guess in guesses]
    classes = [
        name.encode()
        for guess in guesses
        for name in ([s.category for s in guess.scores] or [""] * count)
    ]
    best = [[s.probability for s in guess.scores] or nothing for guess in guesses]
    familiar = [np.nan if guess.familiar is None else guess.familiar for guess in guesses]
    errors = [(guess.error or "").encode() for guess in guesses]
    found = [
        Tensor("classes", "BYTES", shape, classes),
        Tensor("scores", "FP32", shape, np.array(best, np.float32).reshape(shape)),
        Tensor("probabilities", "FP32", shape, np.array(shares, np.float32).reshape(shape)),
        Tensor("familiar", "FP32", (len(guesses),), np.array(familiar, np.float32)),
        Tensor("errors", "BYTES", (len(guesses),), errors),
    ]
    return {tensor.name: tensor for tensor in found}
