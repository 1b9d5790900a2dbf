"""What a trained model on disk says of itself, so that a reader needs nothing else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from retrain.data.images import RULES_VERSION
from retrain.errors import BundleError

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself; written as `manifest.json`.

    run: the name of the training's folder.
    labels: the categories in the order of the model's outputs.
    backbone_reason: why this backbone was chosen.
    weights_sha256: the digest of the file that the backbone started from; None from scratch.
    size, fit: the pixel rules.
    scaling: what the network itself does with pixels first.
    kept: "head" or "fine_tune".
    metrics: the main figures of each side.
    checks: what the comparison of the exports found.
    precision: the Keras dtype policy of the training.
    temperature: logits are divided by it.
    command: the command line that made the run; "" if a program did.
    created: when the training ended, ISO 8601, UTC; "" in older manifests, where `run` tells when
        it began.
    reference: what the bundle keeps to tell strangers by; None where it keeps nothing.
    plan: what fine-tuning trained, for how many steps, planned and done; None without fine-tuning.
    cascade: whether int8 may guess first, and why or why not; None where int8 was not made.
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
    plan: Mapping[str, Any] | None = None
    cascade: Mapping[str, Any] | None = None
    reference: Mapping[str, Any] | None = None
    saved_model_applies_exif: bool = False
    format_version: int = FORMAT_VERSION


def read_manifest(path: Path) -> Manifest:
    """Read a bundle's manifest.

    Raises:
        BundleError: it is missing, damaged, or of a newer version.
    """
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
        return replace(manifest, labels=tuple(manifest.labels))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} cannot be read ({error}). Train again.") from error
