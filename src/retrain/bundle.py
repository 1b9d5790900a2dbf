"""A trained model on disk: one folder that a reader can use with nothing else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from retrain.data.images import RULES_VERSION, PixelRules
from retrain.errors import BundleError

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself; written as `manifest.json`.

    labels: categories in the order of the model's outputs. backbone_reason: why it was chosen.
    weights_sha256: of the file that the backbone started from, None from scratch.
    fit, size: the pixel rules; scaling: what the network itself does with pixels first.
    temperature: logits are divided by it. cascade: whether int8 may guess first, and why (not);
    None where it was not made. kept: "head" or "fine_tune". checks: parity's findings. command:
    that made it, "" if a program did. created: when the training ended, ISO 8601, UTC; "" in
    older manifests, where `run` tells when it began.
    """

    run: str
    labels: tuple[str, ...]
    backbone: str
    backbone_reason: str
    weights: str
    weights_sha256: str | None
    size: int
    fit: str
    scaling: str
    kept: str
    seed: int
    data_fingerprint: str
    metrics: Mapping[str, Any]
    checks: Mapping[str, Any]
    versions: Mapping[str, str]
    precision: str
    temperature: float = 1.0
    command: str = ""
    created: str = ""
    pixel_rules_version: int = RULES_VERSION
    cascade: Mapping[str, Any] | None = None
    saved_model_applies_exif: bool = False
    notes: tuple[str, ...] = field(default=())
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class BundleFiles:
    """Where a bundle's models lie in its folder."""

    folder: Path

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
    def saved_model(self) -> Path:
        """The SavedModel folder with its three signatures."""
        return self.folder / "saved_model"

    @property
    def keras(self) -> Path:
        """The Keras model; ends in float32 logits."""
        return self.folder / "model.keras"


@dataclass(frozen=True)
class Bundle:
    """A trained model: its manifest and its files."""

    manifest: Manifest
    files: BundleFiles

    @property
    def rules(self) -> PixelRules:
        """How pictures become this model's pixels."""
        return PixelRules(self.manifest.size, self.manifest.fit)  # type: ignore[arg-type]


def open_bundle(folder: Path) -> Bundle:
    """Read a bundle's manifest.

    Raises:
        BundleError: it is missing, damaged, or of a newer version.
    """
    path = folder / "manifest.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
        version = values["format_version"]
        if version > FORMAT_VERSION:
            raise BundleError(
                f"{path} has format {version}; this version reads up to {FORMAT_VERSION}. "
                "Update retrain."
            )
        known = {entry.name for entry in fields(Manifest)}
        manifest = Manifest(**{name: value for name, value in values.items() if name in known})
        manifest = replace(manifest, labels=tuple(manifest.labels), notes=tuple(manifest.notes))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} cannot be read ({error}). Train again.") from error
    return Bundle(manifest, BundleFiles(folder))
