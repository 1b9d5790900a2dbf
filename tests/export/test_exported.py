"""Exports for other runtimes: each is loaded by that runtime, and gives the model's scores."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image

from browser import needs_browser, until, visited
from commands import environment, refused, retrain
from retrain.infer.model import Model
from retrain.workspace import open_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return Model(open_run(trained), precision="float32")


@pytest.fixture(scope="module")
def pixels(model: Model, trained: Path) -> Any:
    paths = sorted((trained / "data").glob("*/*-00[0-3].jpg"))
    return np.stack([model.pixels(path) for path in paths])


def exported(trained: Path, folder: Path, form: str, *options: str) -> Path:
    result = retrain("export", trained, "--format", form, "--output", folder, "--json", *options)
    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stderr  # what libraries say is for --debug
    told = json.loads(result.stdout)
    assert told["check"] is None or told["check"]["max_difference"] < 1e-4
    main = Path(told["main"])
    assert main.is_file()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]  # nothing half-written
    return main


def test_onnx_gives_the_same_scores(
    trained: Path, model: Model, pixels: Any, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    main = exported(trained, tmp_path / "é onnx", "onnx")
    session = onnxruntime.InferenceSession(main, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["pixels"]
    assert sorted(one.name for one in session.get_outputs()) == ["features", "probabilities"]
    (found,) = session.run(["probabilities"], {"pixels": pixels})
    np.testing.assert_allclose(found, model.probabilities(pixels), atol=1e-4)


def test_openvino_gives_the_same_scores(
    trained: Path, model: Model, pixels: Any, tmp_path: Path
) -> None:
    openvino = pytest.importorskip("openvino")
    main = exported(trained, tmp_path / "openvino", "openvino")
    found = openvino.compile_model(main, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)
    np.testing.assert_allclose(found["probabilities"], model.probabilities(pixels), atol=1e-4)


def test_the_folder_for_a_hub_is_loaded_by_keras(
    trained: Path, model: Model, pixels: Any, tmp_path: Path
) -> None:
    import keras

    main = exported(trained, tmp_path / "hub", "hf", "--license", "mit")
    network = keras.saving.load_model(main.parent)
    logits = network.predict_on_batch(pixels) / model.run.manifest.temperature
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, model.probabilities(pixels), atol=1e-4)
    names = {path.name for path in main.parent.iterdir()}
    assert names >= {"config.json", "metadata.json", "model.weights.h5", "README.md", "labels.txt"}


def test_the_card_tells_what_is_known(trained: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    main = exported(trained, tmp_path / "card", "card", "--license", "apache-2.0")
    card = ModelCard.load(main)
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "keras")
    assert card.data.eval_results[0].metric_type == "accuracy"
    text = main.read_text()
    for said in ("disc, squares, stripes", "| disc | 24 |", "cross-validation", "## Limits"):
        assert said in text
    unsaid = exported(trained, tmp_path / "other" / "card", "card").read_text()
    assert "license: other # say which one" in unsaid


def test_no_tensorflow_is_loaded_for_a_card(trained: Path, tmp_path: Path) -> None:
    line = ["export", str(trained), "--format", "card", "--output", str(tmp_path / "card")]
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "retrain", *line],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert "| tensorflow\n" not in result.stderr


def test_an_export_again_replaces_the_one_before_and_nothing_else(
    trained: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "card"
    exported(trained, folder, "card")
    exported(trained, folder, "card")
    other = tmp_path / "photos"
    other.mkdir()
    (other / "a.jpg").touch()
    bundle = tmp_path / "bundle"
    shutil.copytree((trained / "model").resolve(), bundle)
    for place in (other, bundle):
        result = retrain("export", trained, "--format", "card", "--output", place)
        assert "holds something else. See --output." in refused(result, 2)
    assert [path.name for path in other.iterdir()] == ["a.jpg"]


def test_an_export_that_disagrees_is_not_left_behind(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    bundle = tmp_path / "bundle"
    shutil.copytree((trained / "model").resolve(), bundle)
    values = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**values, "temperature": 9.0}))
    out = tmp_path / "out" / "onnx"
    result = retrain("export", bundle, "--format", "onnx", "--output", out)
    assert "onnx, whose probabilities differ by" in refused(result, 7)
    assert list(out.parent.iterdir()) == []


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder as any web server would."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@needs_browser
@pytest.mark.skipif(not shutil.which("npm"), reason="needs npm")
def test_the_page_guesses_in_the_browser_alone(trained: Path, model: Model, tmp_path: Path) -> None:
    main = exported(trained, tmp_path / "web", "web")
    line = ["npm", "install", "--no-audit", "--no-fund", "--silent"]
    installed = subprocess.run(line, cwd=main.parent, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        pytest.skip(f"the runtime cannot be installed: {installed.stderr[-200:]}")
    path = tmp_path / "disc.png"
    with Image.open(trained / "data" / "disc" / "disc-001.jpg") as image:
        image.resize((128, 128)).save(path)  # so that the browser does not resize it its own way
    with served(main.parent) as address, visited(address, chatter=True) as page:
        until(page, "document.body.dataset.ready === 'yes'")
        page.set_input_files("input", str(path))
        page.wait_for_selector("li")
        said = page.inner_text("li >> nth=0")
    best = model.guess(path).best
    assert said.startswith("disc (score = ")
    assert float(said[14:-1]) == pytest.approx(best.probability, abs=2e-3)
