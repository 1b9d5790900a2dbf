"""The Open Inference Protocol: by hand, and by Triton's own client in an environment of its own."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from commands import ROOT
from retrain.infer.model import Model
from serving import Server

INFER = "/v2/models/model/infer"
HEADER = "Inference-Header-Content-Length"
CLIENT = "tritonclient[http]==2.73.0"  # it pins packages that the project has in other versions
TRITON = ROOT / ".venv-triton"


def tensor(datatype: str, shape: list[int], **others: Any) -> dict[str, Any]:
    name = "image_bytes" if datatype == "BYTES" else "pixels"
    return {"name": name, "datatype": datatype, "shape": shape, **others}


def packed(*elements: bytes) -> bytes:
    return b"".join(len(one).to_bytes(4, "little") + one for one in elements)


def in_binary(server: Server, header: dict[str, Any], data: bytes) -> Any:
    text = json.dumps(header).encode()
    return server.post(INFER, text + data, headers={HEADER: str(len(text))})


def test_the_server_and_its_model_are_told(server: Server, model: Model) -> None:
    assert "binary_tensor_data" in server.get("/v2").json()["extensions"]
    assert server.get("/v2/health/live").status_code == 200
    assert server.get("/v2/health/ready").status_code == 200
    assert server.get("/v2/models/model/ready").status_code == 200
    assert server.get("/v2/models/other/ready").status_code == 404
    told = server.get("/v2/models/model").json()
    assert told["inputs"] == [tensor("BYTES", [-1])]
    assert [output["name"] for output in told["outputs"]] == [
        *("classes", "scores", "probabilities", "familiar", "errors")
    ]
    (entry,) = server.post("/v2/repository/index").json()
    assert entry == {
        "name": "model",
        "version": told["versions"][0],
        "state": "READY",
        "reason": "",
    }


def test_json_gives_the_scores_of_a_guess(server: Server, model: Model, photo: bytes) -> None:
    data = [base64.b64encode(photo).decode()]
    answer = server.post(INFER, {"id": "7", "inputs": [tensor("BYTES", [1], data=data)]}).json()
    assert (answer["id"], answer["model_name"]) == ("7", "model")
    classes, scores = answer["outputs"]
    assert classes["shape"] == scores["shape"] == [1, len(model.categories)]
    assert list(zip(classes["data"], scores["data"], strict=True)) == list(
        model.guess(photo).scores
    )


def test_bytes_and_pixels_come_and_go_in_binary(
    server: Server, model: Model, photos: list[bytes]
) -> None:
    data, count = packed(*photos), len(photos)
    given = tensor("BYTES", [count, 1], parameters={"binary_data_size": len(data)})
    wanted = [
        {"name": "probabilities", "parameters": {"binary_data": True}},
        {"name": "errors"},
    ]
    answer = in_binary(server, {"inputs": [given], "outputs": wanted}, data)
    length = int(answer.headers[HEADER])
    probabilities, errors = json.loads(answer.content[:length])["outputs"]
    assert probabilities["parameters"] == {"binary_data_size": 4 * count * len(model.categories)}
    assert errors["data"] == count * [""]
    found = np.frombuffer(answer.content[length:], "<f4").reshape(count, -1)
    pixels = np.stack([model.pixels(photo) for photo in photos])
    np.testing.assert_allclose(found, model.probabilities(pixels), atol=1e-6)

    given = tensor("UINT8", list(pixels.shape), parameters={"binary_data_size": pixels.nbytes})
    answer = in_binary(server, {"inputs": [given], "outputs": wanted}, pixels.tobytes())
    same = np.frombuffer(answer.content[int(answer.headers[HEADER]) :], "<f4")
    np.testing.assert_allclose(same.reshape(count, -1), found, atol=1e-6)


def test_a_bad_picture_has_no_class_and_its_reason(server: Server, photo: bytes) -> None:
    data = [base64.b64encode(one).decode() for one in (photo, b"GIF89a")]
    answer = server.post(INFER, {"inputs": [tensor("BYTES", [2], data=data)]}).json()
    classes, scores, errors = answer["outputs"]
    assert classes["data"][0] == "disc"
    assert classes["data"][3:] == 3 * [""]
    assert scores["data"][3:] == 3 * [None]
    assert errors["data"][0] == ""
    assert "GIF" in errors["data"][1]


@pytest.mark.parametrize(
    ("header", "data", "said"),
    [
        ({}, b"", "list of `inputs`"),
        ({"inputs": [3]}, b"", "must be an object"),
        ({"inputs": [tensor("FP32", [1], data=[1.0])]}, b"", "must be BYTES or UINT8"),
        ({"inputs": [tensor("BYTES", [-1], data=["QQ=="])]}, b"", "list of numbers"),
        ({"inputs": [tensor("BYTES", [2], data=["QQ=="])]}, b"", "must hold 2 strings"),
        ({"inputs": [tensor("BYTES", [1], data=["*"])]}, b"", "must hold base64"),
        ({"inputs": [tensor("BYTES", [1])]}, b"", "must hold 1 strings"),
        ({"inputs": []}, b"", "There must be one input"),
        ({"inputs": [tensor("UINT8", [1, 2], data=[1, 2])]}, b"", "must be UINT8 [n, "),
        ({"inputs": [tensor("UINT8", [2], data=[1, 300])]}, b"", "0..255"),
        ({"inputs": [tensor("UINT8", [1000000000000], data=[1])]}, b"", "0..255"),
        ({"inputs": [tensor("BYTES", [1])]}, b"left", "strings"),
        (
            {"inputs": [tensor("BYTES", [1], parameters={"binary_data_size": 9})]},
            b"\1\0\0\0A",
            "announces 9 bytes; 5 are there",
        ),
        (
            {"inputs": [tensor("BYTES", [1], parameters={"binary_data_size": 5})]},
            b"\xff\xff\xff\xffA",
            "each after its length",
        ),
        (
            {"inputs": [tensor("BYTES", [1], parameters={"binary_data_size": 5})]},
            b"\1\0\0\0Aleft",
            "4 bytes are left",
        ),
        (
            {
                "inputs": [tensor("BYTES", [1], data=["QQ=="])],
                "outputs": [{"name": "other"}],
            },
            b"",
            "Received: 'other'",
        ),
    ],
)
def test_what_is_not_understood_is_told(
    server: Server, header: dict[str, Any], data: bytes, said: str
) -> None:
    answer = in_binary(server, header, data)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]


def test_a_wrong_length_of_the_header_is_told(server: Server) -> None:
    for length in ("-1", "99", "x", "²"):
        answer = server.post(INFER, b"{}", headers={HEADER: length.encode("latin-1")})
        assert answer.status_code == 400


@pytest.fixture(scope="session")
def triton() -> Path:
    """A Python that has Triton's client; it is set up at its first use, and kept."""
    python = TRITON / "bin" / "python"
    if not (TRITON / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(TRITON)], check=True)
        line = [str(python), "-m", "pip", "install", "--quiet", "--only-binary=:all:", CLIENT]
        installed = subprocess.run(line, capture_output=True, text=True, check=False)
        if installed.returncode != 0:
            pytest.skip(f"Triton's client cannot be installed: {installed.stderr[-200:]}")
        (TRITON / "ready").touch()
    return python


USE = """
import json, sys
import numpy as np
import tritonclient.http as http

address, *paths = sys.argv[1:]
client = http.InferenceServerClient(address)
assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("model")
assert client.get_model_metadata("model")["outputs"][0]["name"] == "classes"
assert client.get_model_repository_index()[0]["state"] == "READY"
files = np.array([open(path, "rb").read() for path in paths], dtype=np.object_)
given = http.InferInput("image_bytes", [len(files)], "BYTES")
given.set_data_from_numpy(files)
usual = client.infer("model", [given])
wanted = [http.InferRequestedOutput("classes", binary_data=False),
          http.InferRequestedOutput("scores", binary_data=True)]
asked = client.infer("model", [given], outputs=wanted, request_id="abc")
assert asked.get_response()["id"] == "abc"
np.testing.assert_array_equal(asked.as_numpy("scores"), usual.as_numpy("scores"))
try:
    client.infer("other", [given])
except Exception as error:
    assert "There is no model 'other' here" in str(error), error
else:
    raise AssertionError("another model answered")
print(json.dumps([row[0].decode() for row in usual.as_numpy("classes")]))
"""


def test_tritons_own_client_is_served(server: Server, triton: Path, trained: Path) -> None:
    paths = sorted(map(str, (trained / "data").glob("*/*-000.jpg")))
    line = [str(triton), "-c", USE, server.address.removeprefix("http://"), *paths]
    result = subprocess.run(line, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == ["disc", "squares", "stripes"]
