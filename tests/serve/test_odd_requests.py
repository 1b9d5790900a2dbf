"""What no text can hold is refused, and a bug is answered, counted and logged as one."""

import base64
import json
import re
import shutil
from pathlib import Path

import pytest

from commands import ROOT
from retrain.serve.counters import CODES
from serving import Server, started

V2 = "/v2/models/model/infer"
LONE = r'"\ud800"'
TENSOR = '"datatype": "BYTES", "shape": [1], "data": ["YQ=="]'


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (V2, f'{{"id": {LONE}, "inputs": [{{"name": "image_bytes", {TENSOR}}}]}}'),
        (V2, f'{{"inputs": [{{"name": {LONE}, {TENSOR}}}]}}'),
        ("/v1/models/model:predict", f'{{"instances": [{{{LONE}: 1}}]}}'),
        ("/v1/models/model:predict", f'{{"instances": [1], "signature_name": {LONE}}}'),
    ],
)
def test_half_a_surrogate_pair_is_refused(server: Server, path: str, body: str) -> None:
    for content, said in (
        (body.encode(), "Texts in JSON must be Unicode: surrogates not allowed."),
        (body.replace(r"\ud800", "\ud800").encode(errors="surrogatepass"), "must be JSON"),
    ):
        answer = server.post(path, content)
        assert answer.status_code == 400
        assert said in answer.json()["error"]


def test_a_whole_pair_and_an_escaped_one_are_texts(server: Server, photo: bytes) -> None:
    encoded_photo = base64.b64encode(photo).decode()
    data = f'"datatype": "BYTES", "shape": [1], "data": ["{encoded_photo}"]'
    for id_ in (r"\ud83d\ude00", r"\\ud800"):
        body = f'{{"id": "{id_}", "inputs": [{{"name": "image_bytes", {data}}}]}}'
        answer = server.post(V2, body)
        assert answer.json()["id"] == json.loads(f'"{id_}"')


def test_a_form_that_names_a_strange_encoding_is_answered(server: Server, photo: bytes) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="a"; filename="+2AA-"\r\n\r\n'
    kind = {"content-type": "multipart/form-data; boundary=x; charset=utf-7"}
    answer = server.post("/", head + photo + b"\r\n--x--\r\n", headers=kind)
    assert (answer.status_code, answer.json()[0]["name"]) == (200, "?")


def test_a_bug_is_answered_counted_and_logged_as_one(
    trained: Path, tmp_path: Path, photo: bytes
) -> None:
    root = tmp_path / "tf_files"
    shutil.copytree((trained / "model").resolve(), root / "runs" / "run")
    (root / "model").symlink_to(Path("runs", "run"))
    (root / "corrections").write_text("in the way of the folder")
    with started(root) as server:
        answer = server.post("/page/correct?category=disc", photo)
        assert (answer.status_code, answer.json()) == (
            500,
            {"error": "A bug, please report it: NotADirectoryError."},
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert server.wait_for_status(500)["level"] == "warning"
        assert 'requests_total{protocol="page",status="500"} 1' in server.get("/metrics").text
        assert any('"trace"' in line and "NotADirectoryError" in line for line in server.lines)
        assert server.post("/", photo).status_code == 200


def test_every_status_of_a_refusal_is_counted() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src/retrain/serve").glob("*.py"))
    raised = {int(status) for status in re.findall(r"(?:Refused|refusal)\(\s*(\d{3})", source)}
    assert {409, 507} < raised <= {*CODES}
