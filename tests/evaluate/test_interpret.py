"""Heat maps: against a reference that shares no code, and on a picture that anyone can judge."""

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from commands import SHARED, refused, retrain
from retrain.config import ExplainMethod
from retrain.data.images import PixelRules, Pixels, read_pixels
from retrain.errors import UsageError
from retrain.evaluate.interpret import Interpreter
from retrain.model.backbones import BACKBONES, backbone_named
from retrain.model.build import add_head, build_backbone
from retrain.model.checkpoint import read_checkpoint
from retrain.model.weights import Weights, obtain

pytestmark = pytest.mark.slow  # builds every backbone

RELU_ONLY = {
    *("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"),
    *("resnet50", "resnet101", "inceptionv3", "mobilenetv2", "mobilenetv2_035"),
    *("xception", "densenet121"),
}
LAST_MAPS = {
    "resnet50": "conv5_block3_out",
    "resnet101": "conv5_block3_out",
    "inceptionv3": "mixed10",
    "mobilenetv2": "out_relu",
    "mobilenetv2_035": "out_relu",
    "mobilenetv3_large": "activation",  # and a number
    "efficientnet_lite0": "head_relu",
    "efficientnet_lite1": "head_relu",
    "efficientnet_lite2": "head_relu",
    "efficientnetv2_b0": "top_activation",
    "densenet121": "relu",
    "xception": "block14_sepconv2_act",
    "convnext_tiny": "convnext_tiny_stage_3_block_2_identity",
}
SMALL = 128
DOG = SHARED / "data" / "pets3" / "american_bulldog" / "american_bulldog_103.jpg"
DOG_BOX = (0.18, 0.23, 0.64, 0.85)  # left, upper, right, lower; drawn by hand around the animal
DOGS = (180, 215)  # of ImageNet's categories, what the network takes it for


def scratch(name: str, size: int = SMALL, categories: int = 3) -> keras.Model:
    """Return a classifier with random weights."""
    keras.utils.set_random_seed(3)
    backbone = backbone_named(name)
    network = build_backbone(backbone, max(size, backbone.min_size), Weights("none"))
    kernel = np.random.default_rng(3).normal(0, 1, (network.output_shape[-1], categories))
    return add_head(network, kernel.astype(np.float32), np.zeros(categories, np.float32))


def noise(model: keras.Model, count: int = 2) -> Pixels:
    size = model.input_shape[1]
    return np.random.default_rng(5).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def reference(model: keras.Model, layer: str, pixels: Pixels, category: int) -> NDArray[np.float32]:
    """Return Grad-CAM as its paper has it, before it is enlarged, [n, h, w], 0..1."""
    both = keras.Model(model.inputs, [model.get_layer(layer).output, model.outputs[0]])
    with tf.GradientTape() as tape:
        maps, logits = both(tf.constant(pixels), training=False)
        score = logits[:, category]
    weights = tf.reduce_mean(tape.gradient(score, maps), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
    return np.asarray(heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-30), np.float32)


def at_cells(heat: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """Return a map at the places where the small one's cells lie when corners meet corners."""
    places = np.linspace(0, heat.shape[-1] - 1, cells)
    low = np.floor(places).astype(int)
    share = places - low
    high = np.minimum(low + 1, heat.shape[-1] - 1)
    rows = heat[:, low] * (1 - share)[:, None] + heat[:, high] * share[:, None]
    return np.asarray(rows[:, :, low] * (1 - share) + rows[:, :, high] * share)


@pytest.mark.parametrize("name", [backbone.name for backbone in BACKBONES])
def test_each_backbone(name: str) -> None:
    """One test for all, so that each network is built once."""
    model = scratch(name)
    interpreter = Interpreter(model)
    assert interpreter.layer.startswith(LAST_MAPS[name])
    pixels = noise(model)
    heat = interpreter.heat("gradcam", pixels, [1, 1])
    assert heat.shape == pixels.shape[:3]
    expected = reference(model, interpreter.layer, pixels, 1)
    if expected.shape[1] > 1:
        np.testing.assert_allclose(at_cells(heat, expected.shape[1]), expected, atol=0.02)
    if name in RELU_ONLY:
        plain, guided = (
            method(pixels, [1, 1]) for method in (interpreter.gradients, interpreter.guided)
        )
        assert plain.shape == guided.shape == pixels.shape
        assert np.abs(guided - plain).max() > 0.1 * np.abs(plain).max()
    else:
        with pytest.raises(UsageError, match="only nonlinearity is ReLU"):
            interpreter.guided(pixels, [1, 1])


def test_guided_backpropagation_is_its_definition() -> None:
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.ReLU(6.0)(keras.layers.Conv2D(4, 3, name="one")(x))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="two")(x)
    model = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    picture = noise(model, 1)

    one, two, head = (layer.get_weights() for layer in model.layers if layer.get_weights())
    a = tf.nn.conv2d(picture / np.float32(255), one[0], 1, "VALID") + one[1]
    b = tf.nn.conv2d(tf.clip_by_value(a, 0, 6), two[0], 1, "VALID") + two[1]
    back = np.asarray(head[0][:, 1]).reshape(b.shape)
    back = np.where((b > 0) & (back > 0), back, 0)
    back = tf.nn.conv2d_transpose(back, two[0], a.shape, 1, "VALID").numpy()
    back = np.where((a > 0) & (a < 6) & (back > 0), back, 0)
    back = tf.nn.conv2d_transpose(back, one[0], picture.shape, 1, "VALID").numpy() / 255
    np.testing.assert_allclose(Interpreter(model).guided(picture, [1]), back, atol=1e-6)


@pytest.mark.parametrize(
    "method",
    ["gradcam", "gradcam++", "layercam", "scorecam", "saliency", "guided", "guided-gradcam"],
)
def test_each_method_gives_heat_between_0_and_1(method: ExplainMethod) -> None:
    model = scratch("mobilenetv2_035", 64)
    heat = Interpreter(model, "block_2_add").heat(method, noise(model, 1), [2])
    assert heat.shape == (1, 64, 64)
    assert heat.dtype == np.float32
    assert (heat.min() >= 0, heat.max()) == (True, 1)


@pytest.mark.skipif(not DOG.is_file(), reason="needs the photograph beside the project")
def test_the_heat_lies_on_the_animal_and_follows_it() -> None:
    backbone = backbone_named("efficientnet_lite0")
    weights = obtain(backbone, "imagenet", lambda _: None)
    assert weights.path is not None
    checkpoint = read_checkpoint(weights.path)
    network = build_backbone(backbone, 224, weights)
    kernel, bias = checkpoint["_fc.weight"].T, checkpoint["_fc.bias"]
    interpreter = Interpreter(add_head(network, kernel, bias))
    dog = read_pixels(DOG.read_bytes(), PixelRules(224, "squash"))[np.newaxis]
    left, upper, right, lower = (round(224 * part) for part in DOG_BOX)
    area = (right - left) * (lower - upper) / 224**2
    for category in DOGS:
        heat = interpreter.heat("gradcam", dog, [category])[0]
        assert heat[upper:lower, left:right].sum() / heat.sum() > 1.5 * area
        mirrored = interpreter.heat("gradcam", dog[:, :, ::-1], [category])[0]
        follows = np.corrcoef(heat.ravel(), mirrored[:, ::-1].ravel())[0, 1]
        assert follows > 0.95
        assert follows > np.corrcoef(heat.ravel(), mirrored.ravel())[0, 1] + 0.03


def test_explain_draws_two_categories_of_one_picture(trained: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a 'picture' é.jpg"
    shutil.copy(trained / "data" / "disc" / "disc-000.jpg", picture)
    (tmp_path / "other").mkdir()
    shutil.copy(picture, tmp_path / "other")
    broken = tmp_path / "broken.jpg"
    broken.write_text("no picture")
    output = tmp_path / "out"
    result = retrain(
        *("explain", trained, picture, broken, tmp_path / "other" / picture.name),
        *("--category", "disc", "--category", "stripes", "--output", output),
    )
    assert result.returncode == 6
    assert f"retrain: {broken}: " in result.stderr
    assert "disc (score = 0." in result.stdout
    drawn = sorted(path.name for path in output.iterdir())
    assert drawn == [f"{picture.stem}-gradcam-2.png", f"{picture.stem}-gradcam.png"]
    with Image.open(output / drawn[1]) as sheet:
        assert 1 < sheet.width / sheet.height < 2  # three beside, two below each other


def test_pictures_of_one_name_keep_their_drawings_in_calls_of_their_own(
    old_workspace: Path, tmp_path: Path
) -> None:
    drawn = old_workspace / "explained"
    drawn.mkdir()
    (drawn / "1-gradcam-2.png").write_bytes(b"mine")
    for category in ("red", "blue"):
        (tmp_path / category).mkdir()
        picture = old_workspace / "data" / category / f"{category} é 10.jpg"
        shutil.copy(picture, tmp_path / category / "1.jpg")
    seen: dict[str, bytes] = {}
    for category, name in (("red", "1-gradcam"), ("blue", "1-gradcam-3"), ("red", "1-gradcam")):
        result = retrain("explain", old_workspace, tmp_path / category / "1.jpg")
        assert result.returncode == 0, result.stderr
        assert f"see {drawn / name}.png\n" in result.stdout
        content = (drawn / f"{name}.png").read_bytes()
        assert seen.setdefault(name, content) == content
    assert len(set(seen.values())) == 2
    assert sorted(p.name for p in drawn.iterdir()) == [
        f"1-gradcam{n}.png" for n in ("-2", "-3", "")
    ]
    assert (drawn / "1-gradcam-2.png").read_bytes() == b"mine"


def test_what_cannot_be_explained(trained: Path) -> None:
    picture = trained / "data" / "disc" / "disc-000.jpg"
    message = refused(retrain("explain", trained, picture, "--category", "boat"), 2)
    assert "disc, squares, stripes" in message
    message = refused(retrain("explain", trained, picture, "--layer", "head_rel"), 2)
    assert "Did you mean 'head_relu'?" in message
    assert "stage2_" in message
