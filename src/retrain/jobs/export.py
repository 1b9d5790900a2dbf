"""The model in the formats of other runtimes and of model hubs, each compared with the original."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain.config import ExportFormat
from retrain.data.images import BadPicture, PixelRules, Pixels, read_bytes, read_pixels
from retrain.data.stream import batched, evenly
from retrain.errors import ChecksFailed, UsageError
from retrain.export import card
from retrain.export.web import export_web, web_runner
from retrain.files import machine_errors, output_folder, write_json, write_text
from retrain.infer.litert import LiteRT
from retrain.progress import Reporter, counted
from retrain.run import Run
from retrain.workspace import Workspace, open_run

FOLDER = "exported"
MARK = "export.json"  # a folder that has it was made by an export
PICTURES = 64  # to compare on, at most
BATCH = 16

Array = NDArray[np.float32]
RunPixels = Callable[[Pixels], Array]


@dataclass(frozen=True)
class Exported:
    """What was written.

    folder: that holds it. main: the file to open or load. finding: of the comparison, as in
    `compare`; None where the files are those that the training itself had compared.
    """

    folder: Path
    main: Path
    finding: dict[str, Any] | None


def export(
    root: Path,
    form: ExportFormat,
    output: Path | None,
    report: Reporter,
    *,
    licence: str = "",
) -> Exported:
    """Write a published model in another format.

    Args:
        root: the workspace, or a bundle.
        form: "onnx", "openvino", "web", "hf" or "card".
        output: the folder; None for `exported/<form>` in the workspace. One that an export made
            before is replaced.
        report: hears what is compared.
        licence: of the model, for its card.

    Raises:
        BundleError: there is no model.
        UsageError: the folder holds something else.
        MachineError: a package is missing, or the folder cannot be written.
        ChecksFailed: what was written disagrees with the model; it is not left behind.
    """
    run = open_run(root)
    folder = (output or Workspace(root.absolute()).root / FOLDER / form).absolute()
    if folder.exists() and not (folder.is_dir() and _is_ours(folder)):
        raise UsageError(
            f"An export needs a folder that is new, empty, or made by one before. Received: "
            f"{folder}, which holds something else.",
            setting="output",
        )
    above = output_folder(folder.parent)
    with machine_errors(above), tempfile.TemporaryDirectory(dir=above, prefix=".export-") as name:
        part = Path(name) / "whole"
        part.mkdir()
        main, finding = _write(run, form, part, report, licence)
        shutil.copyfile(run.manifest_file, part / run.manifest_file.name)
        write_json(part / MARK, {"format": form, "run": run.manifest.run, "check": finding})
        if folder.exists():
            folder.replace(Path(name) / "before")
        part.replace(folder)
    return Exported(folder, folder / main, finding)


def _is_ours(folder: Path) -> bool:
    return not any(folder.iterdir()) or (folder / MARK).is_file()


def _write(
    run: Run, form: ExportFormat, folder: Path, report: Reporter, licence: str
) -> tuple[str, dict[str, Any] | None]:
    """Write the files; return the name of the main one, and what the comparison found."""
    labels = "".join(f"{name}\n" for name in run.manifest.labels)
    write_text(folder / run.labels.name, labels)
    if form == "card":
        write_text(folder / card.NAME, _card(run, licence, ""))
        return card.NAME, None
    runner, main = _convert(run, form, folder)
    if form == "hf":
        shutil.copyfile(run.litert, folder / run.litert.name)
        write_text(folder / card.NAME, _card(run, licence, USAGE))
    finding = _compared(run, runner, report)
    if not finding["passed"]:
        raise ChecksFailed(
            f"An export must agree with the model. Received: {form}, whose probabilities differ by "
            f"{finding['max_difference']}. Nothing was left behind."
        )
    return main, finding


def _convert(run: Run, form: ExportFormat, folder: Path) -> tuple[RunPixels, str]:
    """Write the model in a format; return what runs it, and the name of the main file."""
    if form == "web":
        main = export_web(run, folder).name
        return web_runner(folder), main
    from retrain.export.outputs import classifier_outputs, freeze  # TensorFlow
    from retrain.model.classifier import load_classifier

    classifier = load_classifier(run)
    outputs = classifier_outputs(classifier.network, classifier.temperature)
    if form == "onnx":
        from retrain.export.onnx import export_onnx, onnx_runner

        path = export_onnx(outputs, classifier.rules, folder)
        return onnx_runner(path), path.name
    if form == "openvino":
        from retrain.export.openvino import export_openvino, openvino_runner

        path = export_openvino(freeze(outputs, classifier.rules), classifier.rules, folder)
        return openvino_runner(path), path.name
    from retrain.export.hub import export_hub, hub_runner

    export_hub(classifier.network, folder)
    return hub_runner(folder, classifier.temperature), card.NAME


def _compared(run: Run, runner: RunPixels, report: Reporter) -> dict[str, Any]:
    """Compare an export with the LiteRT model, which training compared with Keras."""
    from retrain.export.parity import PIXEL_MARGIN, PIXEL_TOLERANCE, compare

    litert = LiteRT(run.litert, 1)
    paths = _pictures(run)
    what = counted(len(paths), "picture") if paths else f"{PICTURES} drawn pictures"
    report.say(f"Comparing the export with the model on {what}.")
    expected, found = [], []
    for pixels in _pixels(paths, run.rules):
        expected.append(litert.run(pixels).probabilities)
        found.append(runner(pixels))
    return compare(expected, found, np.max, PIXEL_TOLERANCE, PIXEL_MARGIN)


def _pictures(run: Run) -> Sequence[Path]:
    """Return pictures of the training that are still there; none for a bundle elsewhere."""
    if run.data is None:
        return []
    paths = [run.data / row.name for row in run.read_split()]
    return evenly([path for path in paths if path.is_file()], PICTURES)


def _pixels(paths: Sequence[Path], rules: PixelRules) -> Iterator[Pixels]:
    """Yield batches of pixels: of the pictures, else of noise at several scales."""

    def readable() -> Iterator[Pixels]:
        for path in paths:
            try:
                yield read_pixels(read_bytes(path), rules)
            except BadPicture:
                continue

    found = list(readable()) or [_drawn(seed, rules.size) for seed in range(PICTURES)]
    for some in batched(found, BATCH):
        yield np.stack(some)


def _drawn(seed: int, size: int) -> Pixels:
    random = np.random.default_rng(seed)
    cells = 2 ** (1 + seed % 6)
    coarse = random.integers(0, 256, (cells, cells, 3)).astype(np.uint8)
    grown = coarse.repeat(-(-size // cells), 0).repeat(-(-size // cells), 1)
    return grown[:size, :size]


def _card(run: Run, licence: str, usage: str) -> str:
    counts = Counter(row.category for row in run.read_split() if row.category)
    return card.model_card(run.manifest, dict(sorted(counts.items())), licence, usage)


USAGE = """\
```python
import keras, numpy as np

network = keras.saving.load_model("hf://USER/NAME")  # uint8 pixels [n, size, size, 3] -> logits
logits = network.predict(pixels)  # divide by the temperature of manifest.json, then softmax
```

`labels.txt` has the categories in the order of the outputs. `model.tflite` gives probabilities,
with the temperature inside, and needs no TensorFlow."""
