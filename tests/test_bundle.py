"""What a manifest may look like, and what is refused."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from retrain.bundle import FORMAT_VERSION, Manifest
from retrain.data.images import PixelRules
from retrain.errors import BundleError
from retrain.files import write_json
from retrain.run import Run

MANIFEST = Manifest(
    run="20260101T000000Z-resnet50",
    labels=("boat", "Baum 🌳"),
    backbone="resnet50",
    backbone_reason="as you asked",
    weights="imagenet",
    weights_sha256=None,
    size=128,
    fit="crop",
    scaling="caffe",
    kept="head",
    seed=0,
    data_fingerprint="0" * 64,
    metrics={"test": None},
    checks={"passed": True},
    versions={"retrain": "0"},
    precision="float32",
)


def write(folder: Path, **changes: object) -> Path:
    write_json(folder / "manifest.json", asdict(MANIFEST) | changes)
    return folder


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = Run(write(tmp_path))
    assert run.manifest == MANIFEST
    assert run.rules == PixelRules(128, "crop")
    assert run.litert == tmp_path / "model.tflite"


def test_a_label_that_is_not_utf8_comes_back(tmp_path: Path) -> None:
    label = os.fsdecode(b"caf\xe9")
    assert Run(write(tmp_path, labels=["a", label])).manifest.labels == ("a", label)


def test_keys_that_a_later_version_adds_are_passed_over(tmp_path: Path) -> None:
    assert Run(write(tmp_path, mood="good")).manifest == MANIFEST


def test_a_newer_format_is_refused_with_the_advice_to_update(tmp_path: Path) -> None:
    write(tmp_path, format_version=FORMAT_VERSION + 1, labels=None)
    with pytest.raises(BundleError, match="Update retrain") as raised:
        Run(tmp_path).manifest  # noqa: B018 - reads it
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "manifest.json") in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '"a"', '{"format_version": "1"}'])
def test_a_damaged_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="cannot be read"):
        Run(tmp_path).manifest  # noqa: B018 - reads it


@pytest.mark.parametrize("key", ["run", "labels", "size", "format_version"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    values: dict[str, Any] = asdict(MANIFEST)
    del values[key]
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    with pytest.raises(BundleError, match=f"cannot be read .*{key}"):
        Run(tmp_path).manifest  # noqa: B018 - reads it


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read"):
        Run(tmp_path).manifest  # noqa: B018 - reads it
