"""A folder for web servers: the LiteRT model and a page that runs it in the browser."""

import shutil
from importlib.resources import files
from pathlib import Path

import jinja2

from retrain.run import Run

NAME = "index.html"
PACKAGE = "@litertjs/core"
VERSION = "2.5.3"


def export_web(run: Run, folder: Path) -> Path:
    """Write the page, the model, and `package.json` that names the runtime to install.

    Args:
        run: whose `model.tflite` was compared with Keras when it was trained.
        folder: to write to.
    """
    shutil.copyfile(run.litert, folder / run.litert.name)
    environment = jinja2.Environment(autoescape=True)
    manifest, path = run.manifest, folder / NAME
    values = {"labels": manifest.labels, "size": manifest.size, "fit": manifest.fit}
    template = (files("retrain.export") / "web.html.jinja").read_text("utf-8")
    path.write_text(environment.from_string(template).render(values), encoding="utf-8")
    package = f'{{"private": true, "dependencies": {{"{PACKAGE}": "{VERSION}"}}}}\n'
    (folder / "package.json").write_text(package, encoding="utf-8")
    return path
