"""TensorFlow Serving's REST dialect: `/v1/models/NAME`.

As https://www.tensorflow.org/tfx/serving/api_rest describes it. The signatures are those of the
SavedModel; a picture that cannot be read gives an `error` in its place.
"""

import base64
import binascii
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from retrain.data.images import Pixels
from retrain.infer.guess import Guess
from retrain.serve.desk import Desk, note_of, refuse_if_none
from retrain.serve.hosted import Served
from retrain.serve.refusals import Refused

DEFAULT = "serving_default"
INPUTS = {DEFAULT: "image_bytes", "pixels": "pixels", "features": "pixels"}
_DIALECT = "tensorflow"


class TensorFlowRest:
    """Answers in TensorFlow Serving's words."""

    def __init__(self, desk: Desk) -> None:
        """Answer by the models of a desk."""
        self._desk = desk

    def routes(self) -> list[Route]:
        """Return what is answered."""
        found = []
        for place in ("/v1/models/{name}", "/v1/models/{name}/versions/{version}"):
            found += [
                Route(f"{place}/metadata", self.metadata, methods=["GET"]),
                Route(f"{place}:{{verb}}", self.act, methods=["POST"]),
                Route(place, self.status, methods=["GET"]),
            ]
        return found

    async def status(self, request: Request) -> Response:
        """Tell that the model is there."""
        served = self._served(request)
        fine = {"error_code": "OK", "error_message": ""}
        state = {"version": served.version, "state": "AVAILABLE", "status": fine}
        return JSONResponse({"model_version_status": [state]})

    async def metadata(self, request: Request) -> Response:
        """Tell the signatures."""
        served = self._served(request)
        name = {"name": self._desk.config.name, "signature_name": "", "version": served.version}
        signatures = {"signature_def": {"signature_def": _signatures(served)}}
        return JSONResponse({"model_spec": name, "metadata": signatures})

    async def act(self, request: Request) -> Response:
        """Answer `:predict` and `:classify`."""
        served, verb = self._served(request), request.path_params["verb"]
        if verb not in ("predict", "classify"):
            raise Refused(404, f"A model here can predict and classify. Received: {verb!r}.")
        body = await self._desk.body(request)
        read = _read_examples if verb == "classify" else partial(_read_predict, served)
        asked = await self._desk.understood(body, read)
        if asked.signature != DEFAULT:
            return await self._predict_pixels(served, asked, request)
        guesses = await self._desk.guess(served.model, asked.pictures, request)
        refuse_if_none(guesses)
        if verb == "classify":
            rows = [[list(s) for s in g.scores] if not g.error else _error(g) for g in guesses]
            return JSONResponse({"results": rows})
        return JSONResponse(_columns(guesses) if asked.in_columns else _rows(guesses))

    async def _predict_pixels(self, served: Served, asked: "_Asked", request: Request) -> Response:
        model = served.model
        function = model.features if asked.signature == "features" else model.probabilities
        batches = [pixels[np.newaxis] for pixels in asked.pixels]
        found = await self._desk.compute(function, batches, request)
        return JSONResponse(
            {
                "outputs" if asked.in_columns else "predictions": [
                    each[0].astype(float).tolist() for each in found
                ]
            }
        )

    def _served(self, request: Request) -> Served:
        note_of(request).dialect = _DIALECT
        return self._desk.served(**{k: v for k, v in request.path_params.items() if k != "verb"})


class _Asked:
    """A request as it was understood.

    pictures: files; for the default signature. pixels: uint8 [size, size, 3] each; for others.
    in_columns: whether `inputs` were sent, and `outputs` are wanted.
    """

    def __init__(self, signature: str, values: list[Any], in_columns: bool, size: int) -> None:
        self.signature, self.in_columns = signature, in_columns
        self.pictures: list[bytes | Guess] = []
        self.pixels: list[Pixels] = []
        for place, value in enumerate(values):
            if signature == DEFAULT:
                self.pictures.append(_decoded(value, place))
            else:
                self.pixels.append(_pixels(value, place, size))


def _read_examples(asked: Any) -> _Asked:
    """Understand a request for `:classify`."""
    examples = asked.get("examples") if isinstance(asked, dict) else None
    if not isinstance(examples, list) or not examples:
        raise Refused(400, "`examples` must be a list of pictures, {'image_bytes': {'b64': ...}}.")
    return _Asked(DEFAULT, [_named(one, "image_bytes") for one in examples], False, 0)


def _read_predict(served: Served, asked: Any) -> _Asked:
    """Understand a request for `:predict`, by `instances` or by `inputs`."""
    if not isinstance(asked, dict) or ("instances" in asked) == ("inputs" in asked):
        raise Refused(400, "The body must be an object with either `instances` or `inputs`.")
    signature = asked.get("signature_name") or DEFAULT
    if not isinstance(signature, str) or signature not in INPUTS:
        known = ", ".join(INPUTS)
        raise Refused(400, f"The signature must be one of {known}. Received: {signature!r}.")
    name, in_columns = INPUTS[signature], "inputs" in asked
    values = _named(asked["inputs"], name) if in_columns else asked["instances"]
    if not isinstance(values, list) or not values:
        raise Refused(400, f"Pictures must be a list that is not empty, as the input {name!r}.")
    if not in_columns:
        values = [_named(value, name) for value in values]
    return _Asked(signature, values, in_columns, served.manifest.size)


def _named(value: Any, name: str) -> Any:
    """Return an input, which may be given bare or under its name."""
    if not isinstance(value, Mapping) or "b64" in value:
        return value
    if set(value) != {name}:
        raise Refused(400, f"The input is called {name!r}. Received: {', '.join(map(str, value))}.")
    return value[name]


def _decoded(value: Any, place: int) -> bytes:
    encoded = value.get("b64") if isinstance(value, Mapping) else None
    if not isinstance(encoded, str):
        raise Refused(400, f"Picture {place} must be the file's bytes as {{'b64': '...'}}.")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(400, f"Picture {place} is not base64: {error}.") from None


def _pixels(value: Any, place: int, size: int) -> Pixels:
    try:
        given = np.array(value)
    except ValueError:
        given = np.array(None)
    whole = given.dtype.kind in "iu" and given.shape == (size, size, 3)
    if not whole or given.min() < 0 or given.max() > 255:
        raise Refused(400, f"Picture {place} must be whole numbers 0..255, [{size}, {size}, 3].")
    return given.astype(np.uint8)


def _error(guess: Guess) -> dict[str, Any]:
    return {"error": guess.error}


def _row(guess: Guess) -> dict[str, Any]:
    return {
        "classes": [name for name, _ in guess.scores],
        "scores": [score for _, score in guess.scores],
    }


def _rows(guesses: list[Guess]) -> dict[str, Any]:
    return {"predictions": [_row(g) | (_error(g) if g.error else {}) for g in guesses]}


def _columns(guesses: list[Guess]) -> dict[str, Any]:
    rows = [_row(guess) for guess in guesses]
    outputs = {name: [row[name] for row in rows] for name in ("classes", "scores")}
    if any(guess.error for guess in guesses):
        outputs["errors"] = [guess.error for guess in guesses]
    return {"outputs": outputs}


def _signatures(served: Served) -> dict[str, Any]:
    size, count = str(served.manifest.size), str(len(served.model.categories))
    files = {"image_bytes": _tensor("DT_STRING", "-1")}
    pixels = {"pixels": _tensor("DT_UINT8", "-1", size, size, "3")}
    best = {
        "classes": _tensor("DT_STRING", "-1", count),
        "scores": _tensor("DT_FLOAT", "-1", count),
    }
    return {
        DEFAULT: _signature(files, best),
        "pixels": _signature(pixels, {"probabilities": _tensor("DT_FLOAT", "-1", count)}),
        "features": _signature(pixels, {"features": _tensor("DT_FLOAT", "-1", "-1")}),
    }


def _signature(inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    method = "tensorflow/serving/predict"
    return {"inputs": inputs, "outputs": outputs, "method_name": method, "defaults": {}}


def _tensor(dtype: str, *sizes: str) -> dict[str, Any]:
    dimensions = [{"size": size, "name": ""} for size in sizes]
    return {"dtype": dtype, "tensor_shape": {"dim": dimensions, "unknown_rank": False}, "name": ""}
