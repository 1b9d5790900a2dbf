"""A folder for web servers: the LiteRT model and a page that runs it in the browser."""

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import flatbuffers
import jinja2
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from retrain.data.images import Pixels
from retrain.infer.litert import LiteRT
from retrain.run import Run

NAME = "index.html"
MODEL = "model.tflite"
PACKAGE, VERSION = "@litertjs/core", "2.5.3"
_MAGIC = b"TFL3"


def export_web(run: Run, folder: Path) -> Path:
    """Write the page, the model, and `package.json` that names the runtime to install.

    Args:
        run: the trained model.
        folder: to write to.
    """
    (folder / MODEL).write_bytes(one_by_one(run.litert.read_bytes()))
    environment = jinja2.Environment(autoescape=True)
    manifest, path = run.manifest, folder / NAME
    values = {"labels": manifest.labels, "size": manifest.size, "fit": manifest.fit}
    template = (files("retrain.export") / "web.html.jinja").read_text("utf-8")
    path.write_text(environment.from_string(template).render(values), encoding="utf-8")
    package = f'{{"private": true, "dependencies": {{"{PACKAGE}": "{VERSION}"}}}}\n'
    (folder / "package.json").write_text(package, encoding="utf-8")
    return path


def one_by_one(model: bytes) -> bytes:
    """Return a LiteRT file whose batches have one picture: the browser's runtime resizes none."""
    whole = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    for graph in whole.subgraphs:
        for tensor in graph.tensors:
            tensor.shapeSignature = None  # `shape` says one already
    builder = flatbuffers.Builder(len(model))
    builder.Finish(whole.Pack(builder), _MAGIC)
    return bytes(builder.Output())


def web_runner(folder: Path) -> Callable[[Pixels], NDArray[np.float32]]:
    """Return what runs the file, uint8 pixels to probabilities, a picture at a time."""
    litert = LiteRT(folder / MODEL, 1)
    return lambda pixels: np.concatenate([litert.run(one[None]).probabilities for one in pixels])
