"""The graph that decodes files inside the SavedModel, against the decode of training."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pictures import draw, encoded
from retrain.config import Fit
from retrain.data.images import PixelRules, read_pixels
from retrain.export.saved_model import _pixels

FITS: tuple[Fit, ...] = ("squash", "crop", "pad")


def smooth(width: int, height: int) -> Image.Image:
    """Return a picture without sharp edges, as photographs mostly are."""
    return draw("disc", 3, (24, 20)).resize((width, height), Image.Resampling.BICUBIC)


def with_alpha(image: Image.Image) -> Image.Image:
    ramp = np.tile(np.linspace(0, 255, image.width).astype(np.uint8), (image.height, 1))
    image = image.copy()
    image.putalpha(Image.fromarray(ramp))
    return image


FILES = {
    "JPEG": encoded(smooth(150, 90), "JPEG"),
    "JPEG 4:4:4": encoded(smooth(150, 90), "JPEG", subsampling=0),
    "JPEG grey": encoded(smooth(150, 90).convert("L"), "JPEG"),
    "JPEG large enough for half scale": encoded(smooth(300, 260), "JPEG"),
    "JPEG large enough for an eighth": encoded(smooth(1203, 1100), "JPEG"),
    "PNG": encoded(smooth(90, 150), "PNG"),
    "PNG grey": encoded(smooth(90, 150).convert("L"), "PNG"),
    "PNG grey with alpha": encoded(with_alpha(smooth(90, 150).convert("L")), "PNG"),
    "PNG with alpha": encoded(with_alpha(smooth(90, 150)), "PNG"),
    "PNG palette": encoded(smooth(90, 150).quantize(16), "PNG"),
    "PNG palette with transparency": encoded(
        smooth(90, 150).quantize(16), "PNG", transparency=b"\xff\x80" + bytes(14)
    ),
    "PNG 16-bit": encoded(
        Image.fromarray(np.asarray(smooth(90, 150).convert("L")).astype(np.uint16) * 257), "PNG"
    ),
    "WebP": encoded(smooth(150, 90), "WEBP", quality=95),
    "BMP": encoded(smooth(150, 90), "BMP"),
    "GIF": encoded(smooth(150, 90), "GIF"),
    "one pixel": encoded(Image.new("RGB", (1, 1), (10, 200, 30)), "PNG"),
    "very wide": encoded(smooth(2000, 3), "PNG"),
}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("name", FILES)
def test_the_graph_decodes_as_training_does(name: str, fit: Fit) -> None:
    rules = PixelRules(64, fit)
    ours = read_pixels(FILES[name], rules).astype(int)
    graph = _pixels(tf.constant(FILES[name]), rules).numpy().astype(int)
    assert np.abs(ours - graph).max() <= 1, name  # of 255 levels; halves may round either way
    assert np.abs(ours - graph).mean() < 0.15, name


def test_the_comparison_would_notice_a_wrong_fit() -> None:
    content = FILES["JPEG"]
    ours = read_pixels(content, PixelRules(64, "squash")).astype(int)
    graph = _pixels(tf.constant(content), PixelRules(64, "crop")).numpy().astype(int)
    assert np.abs(ours - graph).mean() > 2
