"""Requests as TensorFlow Serving's documentation has them, and wrong ones."""

import base64
from typing import Any

import numpy as np
import pytest

from retrain.infer.model import Model
from serving import Server

PREDICT = "/v1/models/model:predict"


def b64(content: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(content).decode()}


def refused(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    return str(answer.json()["error"])


def test_the_status_names_the_version(server: Server) -> None:
    (state,) = server.get("/v1/models/model").json()["model_version_status"]
    assert state["state"] == "AVAILABLE"
    assert state["status"] == {"error_code": "OK", "error_message": ""}
    assert int(state["version"]) > 2020_01_01_00_00_00
    again = server.get(f"/v1/models/model/versions/{state['version']}")
    assert again.json()["model_version_status"] == [state]


def test_the_metadata_holds_the_signatures(server: Server, model: Model) -> None:
    answer = server.get("/v1/models/model/metadata").json()
    assert answer["model_spec"]["name"] == "model"
    signatures = answer["metadata"]["signature_def"]["signature_def"]
    assert signatures.keys() == {"serving_default", "pixels", "features"}
    default = signatures["serving_default"]
    assert default["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
    sizes = [size["size"] for size in default["outputs"]["scores"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", str(len(model.categories))]


@pytest.mark.parametrize("named", [False, True])
def test_instances_give_rows_with_the_scores_of_a_guess(
    server: Server, model: Model, photos: list[bytes], named: bool
) -> None:
    instances = [{"image_bytes": b64(photo)} if named else b64(photo) for photo in photos]
    rows = server.post(PREDICT, {"instances": instances}).json()["predictions"]
    for row, guess in zip(rows, model.guess_all(photos), strict=True):
        assert list(zip(row["classes"], row["scores"], strict=True)) == list(guess.scores)


@pytest.mark.parametrize("named", [False, True])
def test_inputs_give_columns(server: Server, photos: list[bytes], named: bool) -> None:
    inputs = [b64(photo) for photo in photos]
    body = {"inputs": {"image_bytes": inputs} if named else inputs}
    outputs = server.post(PREDICT, body | {"signature_name": "serving_default"}).json()["outputs"]
    assert outputs.keys() == {"classes", "scores"}
    assert [row[0] for row in outputs["classes"]] == 3 * ["disc"] + 3 * ["squares"] + 3 * [
        "stripes"
    ]


def test_classify_gives_pairs(server: Server, model: Model, photo: bytes) -> None:
    body = {"examples": [{"image_bytes": b64(photo)}]}
    (row,) = server.post("/v1/models/model:classify", body).json()["results"]
    assert [tuple(pair) for pair in row] == list(model.guess(photo).scores)


@pytest.mark.parametrize("signature", ["pixels", "features"])
def test_pixels_give_numbers_in_the_order_of_the_labels(
    server: Server, model: Model, photo: bytes, signature: str
) -> None:
    pixels = model.pixels(photo)
    body = {"signature_name": signature, "instances": [pixels.tolist()]}
    (row,) = server.post(PREDICT, body).json()["predictions"]
    function = model.features if signature == "features" else model.probabilities
    np.testing.assert_allclose(row, function(pixels[np.newaxis])[0], atol=1e-6)


def test_one_bad_picture_is_an_error_in_its_place(server: Server, photo: bytes) -> None:
    instances = [b64(photo), b64(photo[:300]), b64(photo)]
    rows = server.post(PREDICT, {"instances": instances}).json()["predictions"]
    assert [row["classes"][:1] for row in rows] == [["disc"], [], ["disc"]]
    assert "truncated" in rows[1]["error"].lower()
    outputs = server.post(PREDICT, {"inputs": instances}).json()["outputs"]
    assert [bool(error) for error in outputs["errors"]] == [False, True, False]
    body = {"examples": [{"image_bytes": one} for one in instances]}
    results = server.post("/v1/models/model:classify", body).json()["results"]
    assert list(results[1]) == ["error"]


def test_a_request_without_a_good_picture_is_refused(server: Server) -> None:
    message = refused(server.post(PREDICT, {"instances": [b64(b"%PDF-1.7")]}))
    assert "a PDF document" in message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "must be JSON"),
        (b"\xff\xfe", "must be JSON"),
        (b"[" * 100_000, "must be JSON"),
        (b'{"instances": []}', "not empty"),
        (b'{"instances": {}}', "not empty"),
        (b'{"instances": [1], "inputs": [1]}', "either"),
        (b"[]", "either"),
        (b'{"instances": [1]}', "'b64'"),
        (b'{"instances": [{"b64": 1}]}', "'b64'"),
        (b'{"instances": [{"b64": "***"}]}', "Picture 0 is not base64"),
        (b'{"instances": [{"b64": "QQ"}]}', "Picture 0 is not base64"),
        (b'{"instances": [{"image": {"b64": "QQ=="}}]}', "called 'image_bytes'"),
        (b'{"instances": [[[[1, 2, 3]]]], "signature_name": "pixels"}', "0..255"),
        (b'{"instances": [[[1], [1, 2]]], "signature_name": "pixels"}', "0..255"),
        (b'{"instances": [1], "signature_name": "other"}', "serving_default, pixels, features"),
    ],
)
def test_what_is_not_understood_is_told(server: Server, body: bytes, said: str) -> None:
    assert said in refused(server.post(PREDICT, body))


def test_unknown_models_versions_and_verbs_are_not_found(server: Server) -> None:
    assert "it is 'model'" in refused(server.get("/v1/models/other"), 404)
    assert "no version 1 here" in refused(server.get("/v1/models/model/versions/1"), 404)
    assert "'regress'" in refused(server.post("/v1/models/model:regress", {}), 404)
    refused(server.get("/v1/models/..%2f..%2fetc%2fpasswd"), 404)
    refused(server.get("/v1/models/%2e%2e/metadata"), 404)
    refused(server.get("/page/..%2fpage.py"), 404)
    refused(server.get("/page/page.html.jinja"), 404)
    refused(server.get(PREDICT), 404)
    refused(server.post("/v1/models/model"), 405)
