"""The SavedModel: picture files or pixels in, categories and scores out, nothing else needed.

Signatures:
    serving_default: `image_bytes` string [n] -> `classes` string [n, k], `scores` float32 [n, k],
        best first. Decoding follows `data/images.py`, except that EXIF orientation is ignored.
    pixels: `pixels` uint8 [n, h, w, 3] -> `probabilities` float32 [n, k] in label order.
    features: `pixels` uint8 [n, h, w, 3] -> `features` float32 [n, d].
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from retrain.data.images import PAD_COLOUR, PixelRules
from retrain.export.frozen import Outputs, pixel_spec

_JPEG_START = b"\xff\xd8\xff"
_DCT_SCALES = (1, 2, 4, 8)


def export_saved_model(
    outputs: Outputs, labels: Sequence[str], rules: PixelRules, folder: Path
) -> None:
    """Write the SavedModel.

    Args:
        outputs: of `freeze`.
        labels: categories in the order of the probabilities.
        rules: how a decoded picture becomes pixels.
        folder: to write to.
    """
    names = tf.constant(list(labels))

    def image_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = tf.map_fn(
            lambda content: _pixels(content, rules),
            image_bytes,
            fn_output_signature=tf.TensorSpec((rules.size, rules.size, 3), tf.uint8),
        )
        scores, order = tf.math.top_k(outputs(pixels)["probabilities"], k=len(labels))
        return {"classes": tf.gather(names, order), "scores": scores}

    contents, pixels = tf.TensorSpec([None], tf.string, "image_bytes"), pixel_spec(rules)
    signatures = {
        "serving_default": tf.function(image_bytes, [contents]),
        "pixels": tf.function(_only(outputs, "probabilities"), [pixels]),
        "features": tf.function(_only(outputs, "features"), [pixels]),
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)


def _only(run: Outputs, name: str) -> Outputs:
    return lambda pixels: {name: run(pixels)[name]}


def _pixels(content: tf.Tensor, rules: PixelRules) -> tf.Tensor:
    """Decode one file's bytes; uint8 [size, size, 3]."""
    image = tf.cond(
        tf.strings.substr(content, 0, len(_JPEG_START)) == _JPEG_START,
        lambda: _decode_jpeg(content, 2 * rules.size),
        lambda: _on_white(tf.io.decode_image(content, expand_animations=False)),
    )
    return _fitted(tf.cast(image, tf.float32), rules)


def _decode_jpeg(content: tf.Tensor, enough: int) -> tf.Tensor:
    """Decode at the smallest DCT scale that keeps `enough` pixels a side, as Pillow's draft."""
    shape = tf.io.extract_jpeg_shape(content)
    spare = tf.minimum(shape[0], shape[1]) // enough
    index = tf.reduce_sum(tf.cast(spare >= _DCT_SCALES[1:], tf.int32))

    def at(ratio: int) -> Callable[[], tf.Tensor]:
        return lambda: tf.io.decode_jpeg(
            content, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"
        )

    return tf.switch_case(index, [at(ratio) for ratio in _DCT_SCALES])


def _on_white(image: tf.Tensor) -> tf.Tensor:
    """Bring 1 to 4 channels to RGB, alpha laid on white; uint8 [h, w, 3]."""
    channels = tf.shape(image)[-1]
    has_alpha = (channels == 2) | (channels == 4)
    colours = tf.cast(image[..., : channels - tf.cast(has_alpha, tf.int32)], tf.float32)
    alpha = tf.cond(
        has_alpha,
        lambda: tf.cast(image[..., -1:], tf.float32) / 255.0,
        lambda: tf.ones_like(colours[..., :1]),
    )
    flat = tf.round(colours * alpha + 255.0 * (1.0 - alpha))
    rgb = tf.cond(tf.shape(flat)[-1] == 1, lambda: tf.repeat(flat, 3, axis=-1), lambda: flat)
    return tf.ensure_shape(tf.cast(rgb, tf.uint8), (None, None, 3))


def _fitted(image: tf.Tensor, rules: PixelRules) -> tf.Tensor:
    """Squash, crop or pad float32 [h, w, 3] to uint8 [size, size, 3], as `fit_pixels` does."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    if rules.fit == "crop":
        side = tf.minimum(height, width)
        upper, left = (height - side) // 2, (width - side) // 2
        image = image[upper : upper + side, left : left + side]
    if rules.fit == "pad":
        scale = rules.size / tf.maximum(height, width)
        inner = tf.cast(
            tf.maximum(1.0, tf.round(tf.cast([height, width], tf.float64) * scale)), tf.int32
        )
        before = (rules.size - inner) // 2
        grey = float(PAD_COLOUR[0])
        image = tf.pad(
            _resized(image, inner) - grey,
            tf.concat([tf.stack([before, rules.size - inner - before], axis=1), [[0, 0]]], axis=0),
        )
        image += grey
    else:
        image = _resized(image, [rules.size, rules.size])
    pixels = tf.cast(tf.clip_by_value(tf.round(image), 0.0, 255.0), tf.uint8)
    return tf.ensure_shape(pixels, (rules.size, rules.size, 3))


def _resized(image: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    return tf.image.resize(image, size, method="bilinear", antialias=True)
