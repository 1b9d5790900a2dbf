"""Pictures as bodies and forms, by the clients that people have: curl, and Hugging Face's."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import InferenceClient

from retrain.infer.model import Model
from serving import Server

needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")


def test_the_hugging_face_client_is_served(server: Server, model: Model, trained: Path) -> None:
    path = trained / "data" / "stripes" / "stripes-001.jpg"
    truth: list[Any] = [
        (category, pytest.approx(score)) for category, score in model.guess(path).scores
    ]
    for address in (server.address, f"{server.address}/models/model"):
        client = InferenceClient(model=address)
        for picture in (path, path.read_bytes()):
            found = client.image_classification(picture)
            assert [(one.label, one.score) for one in found] == truth
        (best,) = client.image_classification(path, top_k=1)
        assert best.label == "stripes"


def test_a_form_gives_an_answer_for_each_file(server: Server, photo: bytes) -> None:
    files = [("a", ("one.jpg", photo)), ("b", ("two <b>.txt", b"text")), ("a", ("", photo))]
    one, two, *_ = server.post("/", files=files).json()
    assert (one["name"], one["scores"][0]["label"]) == ("one.jpg", "disc")
    assert (two["name"], list(two)) == ("two <b>.txt", ["name", "error"])


def test_a_large_file_in_a_form_is_read(server: Server) -> None:
    from pictures import draw, encoded

    content = encoded(draw("noise", 1, (900, 800)), "PNG")
    assert len(content) > 1 << 20  # where forms usually go to the disk
    (found,) = server.post("/", files={"picture": ("noise.png", content)}).json()
    assert found["scores"]


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", "", "Received: nothing"),
        (b"text", "", "no picture format"),
        (b"", "multipart/form-data", "boundary"),
        (b"--x", "multipart/form-data; boundary=x", "at least one file"),
        (b"rubbish", "multipart/form-data; boundary=x", "cannot be read"),
        (b'{"inputs": 1}', "application/json", "`inputs`"),
        (b'{"inputs": "*"}', "application/json", "base64"),
        (b'{"inputs": "QQ==", "parameters": {"top_k": 0}}', "application/json", "top_k"),
        (b'{"inputs": "QQ==", "parameters": 3}', "application/json", "must be an object"),
        (
            b'{"inputs": "QQ==", "parameters": {"function_to_apply": "sigmoid"}}',
            "application/json",
            "softmax",
        ),
    ],
)
def test_what_is_not_understood_is_told(server: Server, body: bytes, kind: str, said: str) -> None:
    answer = server.post("/", body, headers={"content-type": kind} if kind else {})
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]


@needs_curl
def test_every_line_of_the_docs_runs(server: Server, tmp_path: Path, photo: bytes) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo)
    lines = re.findall(r"<pre tabindex=\"0\"><code>(.*?)</code>", server.get("/docs").text)
    assert len(lines) >= 9
    for line in map(html.unescape, lines):
        result = subprocess.run(
            ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        if "/metrics" in line:
            assert 'retrain_requests_total{protocol="form",status="200"}' in result.stdout
        else:
            assert "error" not in json.dumps(json.loads(result.stdout)).replace(
                "error_", ""
            ).replace('"errors"', ""), result.stdout
