"""A training's folder, or a copy of it elsewhere: all its files by name, read and written."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from retrain.bundle import Manifest, read_manifest
from retrain.data.images import PixelRules
from retrain.data.records import HELD_OUT, SIDES, Picture, Side, Skipped
from retrain.data.relations import COLUMNS, Relation, from_rows, to_rows
from retrain.files import read_csv, read_json, write_csv, write_json
from retrain.split_rows import PreviousSplit, SplitRow, content_of

MANIFEST = "manifest.json"  # written last: a run that has one is finished
# In metrics: by heads that had not seen the picture, and by tuned models that had not; the last as
# an earlier version called them, when it was one.
CROSS_FITTED, FINE_TUNED, ONE_FOLD = "cross_fitted", "fine_tuned", "one_fold"
STAMP = "%Y%m%dT%H%M%SZ"  # at the beginning of a run's name: when it began, UTC


@dataclass(frozen=True)
class Run:
    """A folder with a trained model, or with one that is being trained; nothing is read before use.

    Its models and its manifest are all that guesses need: a copy of the folder is a bundle.
    """

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name; a run that was not copied is called so in its manifest, too."""
        return self.folder.name

    # The models.

    @property
    def keras(self) -> Path:
        """The Keras model: uint8 pixels to float32 logits, before calibration."""
        return self.folder / "model.keras"

    @property
    def saved_model(self) -> Path:
        """The SavedModel folder with its three signatures."""
        return self.folder / "saved_model"

    @property
    def litert(self) -> Path:
        """The LiteRT model: uint8 pixels to `probabilities` and `features`."""
        return self.folder / "model.tflite"

    @property
    def int8(self) -> Path:
        """The quantised backbone, also LiteRT: uint8 pixels to `features`."""
        return self.folder / "model.int8.tflite"

    @property
    def int8_head(self) -> Path:
        """Kernel and bias of the head for quantised features, float32."""
        return self.folder / "head.int8.npz"

    @property
    def reference(self) -> Path:
        """Features of some of the pictures that were learned from, by which strangers are told."""
        return self.folder / "reference.npz"

    @property
    def labels(self) -> Path:
        """The categories in the order of the outputs, a line each."""
        return self.folder / "labels.txt"

    # What the training was and what came of it.

    @property
    def manifest_file(self) -> Path:
        """What the bundle says of itself."""
        return self.folder / MANIFEST

    @property
    def config(self) -> Path:
        """The settings of the training, all resolved."""
        return self.folder / "config.json"

    @property
    def split(self) -> Path:
        """Which picture was on which side."""
        return self.folder / "split.csv"

    @property
    def related(self) -> Path:
        """Which pictures belong together, and how that was seen; people may refuse pairs in it."""
        return self.folder / "related.csv"

    @property
    def skipped(self) -> Path:
        """The files that were left out, with the reasons."""
        return self.folder / "skipped.csv"

    @property
    def history(self) -> Path:
        """A row for each penalty of the head and each epoch of fine-tuning."""
        return self.folder / "history.csv"

    @property
    def history_plot(self) -> Path:
        """The history as a picture."""
        return self.folder / "history.png"

    @property
    def history_svg(self) -> Path:
        """The history as it stands in the report."""
        return self.folder / "history.svg"

    @property
    def metrics(self) -> Path:
        """How good the model is, in full."""
        return self.folder / "metrics.json"

    @property
    def confusion(self) -> Path:
        """The confusion matrix, where there are too many categories for the metrics."""
        return self.folder / "confusion.csv"

    @property
    def predictions(self) -> Path:
        """What the model says of each picture that it was judged by."""
        return self.folder / "predictions.csv"

    @property
    def out_of_fold(self) -> Path:
        """What was said of each training picture by those that had not learned from it."""
        return self.folder / "out_of_fold.csv"

    @property
    def fold_heads(self) -> Path:
        """The heads of the folds, float16, for the heat maps of their mistakes."""
        return self.folder / "fold_heads.npz"

    @property
    def top_losses(self) -> Path:
        """A sheet of the pictures that the model gets most wrong."""
        return self.folder / "top-losses.png"

    @property
    def report(self) -> Path:
        """All of it as a page for people."""
        return self.folder / "report.html"

    @property
    def logs(self) -> Path:
        """The folder of TensorBoard's logs."""
        return self.folder / "logs"

    @property
    def checkpoints(self) -> Path:
        """The folder that an interrupted training goes on from; deleted at the end."""
        return self.folder / "checkpoints"

    @property
    def identity(self) -> Path:
        """What a training must have in common with an interrupted one to go on with it."""
        return self.checkpoints / "training.json"

    # Reading.

    @property
    def is_finished(self) -> bool:
        """Whether the training came to its end."""
        return self.manifest_file.exists()

    @cached_property
    def manifest(self) -> Manifest:
        """What the bundle says of itself.

        Raises:
            BundleError: the manifest is missing, damaged, or of a newer version.
        """
        return read_manifest(self.manifest_file)

    @property
    def rules(self) -> PixelRules:
        """How pictures become this model's pixels."""
        return PixelRules(self.manifest.size, self.manifest.fit)  # type: ignore[arg-type]

    @property
    def data(self) -> Path | None:
        """The data folder of the workspace that the run lies in; None where there is none."""
        data = self.folder.parent.parent / "data"
        return data if self.folder.parent.name == "runs" and data.is_dir() else None

    @property
    def judged(self) -> tuple[str, Mapping[str, Any]] | None:
        """What the model was judged by, and what was found there; test in older runs."""
        metrics = self.manifest.metrics
        for name in (metrics.get("judged_by"), *reversed(HELD_OUT)):
            if name and (found := metrics.get(name)):
                return str(name), found
        return None

    @property
    def accuracy(self) -> float | None:
        """The share of pictures that were named correctly, 0..1; None if none was held back."""
        return float(self.judged[1]["accuracy"]) if self.judged else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the accuracy."""
        if self.judged is None:
            return None
        low, high = self.judged[1]["interval_95"]
        return float(low), float(high)

    def name_and_time(self) -> tuple[str, datetime | None]:
        """Return the run's name and time as its manifest has them, else as its folder has."""
        values = read_json(self.manifest_file)
        name, created = str(values.get("run", self.name)), str(values.get("created", ""))
        with contextlib.suppress(ValueError, OverflowError):
            return name, datetime.fromisoformat(created).astimezone(UTC)
        return name, _stamped(name) or _stamped(self.name)

    def read_split(self) -> list[SplitRow]:
        """Return the pictures of the split, without those that were gone when it was made."""
        return [
            SplitRow(
                name=row["path"],
                category=row.get("category") or "",
                side=row.get("side") or "",
                sha256=content_of(row),
                key=row.get("key") or "",
                related=row.get("related") or "",
            )
            for row in read_csv(self.split)
            if row.get("path")
        ]

    def read_fold_heads(self) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return kernel [d, k] and bias [k] of each fold's head, by "fold 3"; none without them."""
        try:
            with np.load(self.fold_heads) as arrays:
                numbers = [name.removeprefix("bias") for name in arrays if name.startswith("bias")]
                return {
                    f"fold {number}": (
                        arrays[f"kernel{number}"].astype(np.float32),
                        arrays[f"bias{number}"].astype(np.float32),
                    )
                    for number in numbers
                }
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return {}

    def read_skipped(self) -> list[Skipped]:
        """Return the files that were left out."""
        return [Skipped(r.get("path", ""), r.get("reason", "")) for r in read_csv(self.skipped)]

    def read_related(self) -> list[Relation]:
        """Return which pictures belong together, pairs that the user refused included."""
        return from_rows(read_csv(self.related))

    # Writing.

    def read_previous(self) -> PreviousSplit:
        """Return sides and folds, for the next training to keep."""
        rows = read_csv(self.split)
        sides: dict[str, Side] = {
            row["key"]: side
            for row in rows
            for side in SIDES
            if row.get("side") == side and row.get("key")
        }
        numbered = [(content_of(row), row.get("fold") or "") for row in rows]
        folds = {content: int(fold) for content, fold in numbered if content and fold.isdecimal()}
        return PreviousSplit(sides, folds, tuple(self.read_related()))

    def write_split(
        self,
        pictures: Sequence[Picture],
        sides: Mapping[str, Side],
        folds: Mapping[str, int],
        sets: Mapping[str, str],
        before: PreviousSplit,
    ) -> None:
        """Write the split; keys whose pictures are gone stay, without a path.

        Args:
            pictures: those of this training.
            sides: by key.
            folds: by a picture's sha256.
            sets: the name of the set of related pictures, by key.
            before: the split of the last run.
        """
        rows = []
        for p in pictures:
            fold, related = str(folds.get(p.sha256, "")), sets.get(p.key, p.key)
            related = "" if related == p.key else related
            rows.append((p.name, p.category, p.key, sides[p.key], p.sha256, fold, related))
        present = {p.key for p in pictures}
        gone = ((key, side) for key, side in sorted(before.sides.items()) if key not in present)
        rows += [("", "", key, side, "", "", "") for key, side in gone]
        header = ("path", "category", "key", "side", "sha256", "fold", "related")
        write_csv(self.split, header, rows)

    def write_related(self, relations: Sequence[Relation], pictures: Sequence[Picture]) -> None:
        """Write which pictures belong together."""
        write_csv(self.related, COLUMNS, to_rows(relations, pictures))

    def write_skipped(self, skipped: Sequence[Skipped]) -> None:
        """Write which files were left out."""
        write_csv(self.skipped, ("path", "reason"), (astuple(bad) for bad in skipped))

    def write_manifest(self, manifest: Manifest) -> None:
        """Write what the bundle says of itself; from then on the run is finished."""
        write_json(self.manifest_file, asdict(manifest))


def _stamped(name: str) -> datetime | None:
    try:
        return datetime.strptime(name.split("-")[0], STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
