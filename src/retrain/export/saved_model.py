"""The SavedModel: picture files or pixels in, categories and scores out, and no other file needed.

Signatures:
    serving_default: `image_bytes` string [n] -> `classes` string [n, k], `scores` float32 [n, k],
        best first. Decoding follows `data/images.py`. What begins like none of the formats that
        TensorFlow decodes has "" and NaN in its row; a damaged picture is an error for all.
    pixels: `pixels` uint8 [n, h, w, 3] -> `probabilities` float32 [n, k] in label order.
    features: `pixels` uint8 [n, h, w, 3] -> `features` float32 [n, d].
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from retrain.data.images import PAD_COLOUR, PixelRules
from retrain.export.orientation import read_orientation, upright
from retrain.export.outputs import Outputs, pixel_spec

Range = tuple[tf.Tensor | float, tf.Tensor | float]  # in pixels, from the edge

_JPEG_START = b"\xff\xd8\xff"
# What a file that TensorFlow decodes has at its beginning, and where.
_STARTS = (
    (0, _JPEG_START),
    (0, b"\x89PNG\r\n\x1a\n"),
    (0, b"GIF87a"),
    (0, b"GIF89a"),
    (0, b"BM"),
    (8, b"WEBP"),
)
FIXED_POINT = 2.0**22  # what Pillow multiplies 8-bit resampling weights with
_DCT_SCALES = (1, 2, 4, 8)


def export_saved_model(
    outputs: Outputs, labels: Sequence[str], rules: PixelRules, folder: Path
) -> None:
    """Write the SavedModel.

    Args:
        outputs: what the model answers, as returned by `freeze`.
        labels: the categories in the order of the probabilities.
        rules: how a decoded picture becomes pixels.
        folder: the folder to write.
    """
    names = tf.constant(list(labels))

    def image_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        readable = is_readable(image_bytes)
        empty = tf.zeros((rules.size, rules.size, 3), tf.uint8)
        pixels = tf.map_fn(
            lambda one: tf.cond(one[1], lambda: _pixels(one[0], rules), lambda: empty),
            (image_bytes, readable),
            fn_output_signature=tf.TensorSpec((rules.size, rules.size, 3), tf.uint8),
        )
        scores, order = tf.math.top_k(outputs(pixels)["probabilities"], k=len(labels))
        known = readable[:, None]
        return {
            "classes": tf.where(known, tf.gather(names, order), ""),
            "scores": tf.where(known, scores, math.nan),
        }

    contents, pixels = tf.TensorSpec([None], tf.string, "image_bytes"), pixel_spec(rules)
    signatures = {
        "serving_default": tf.function(image_bytes, [contents]),
        "pixels": tf.function(_only(outputs, "probabilities"), [pixels]),
        "features": tf.function(_only(outputs, "features"), [pixels]),
    }
    tf.saved_model.save(tf.Module(), str(folder), signatures=signatures)


def _only(run: Outputs, name: str) -> Outputs:
    return lambda pixels: {name: run(pixels)[name]}


def is_readable(contents: tf.Tensor) -> tf.Tensor:
    """Tell which files, string [n], begin like a format that TensorFlow decodes; bool [n]."""

    def begin(start: int, text: bytes) -> tf.Tensor:
        # Short files have no such part, and `substr` would take that for an error.
        padded = tf.strings.join([contents, b"\0" * (start + len(text))])
        return tf.strings.substr(padded, start, len(text)) == text

    found = tf.zeros_like(contents, tf.bool)
    for start, text in _STARTS:
        found |= begin(start, text)
    return found


def _pixels(content: tf.Tensor, rules: PixelRules) -> tf.Tensor:
    """Return the pixels of one file, given its bytes; uint8 [size, size, 3]."""
    image = tf.cond(
        tf.strings.substr(content, 0, len(_JPEG_START)) == _JPEG_START,
        lambda: _decode_jpeg(content, 2 * rules.size),
        lambda: _on_white(tf.io.decode_image(content, expand_animations=False)),
    )
    image = upright(image, read_orientation(content))
    return _fitted(tf.cast(image, tf.float64), rules)


def _decode_jpeg(content: tf.Tensor, enough: int) -> tf.Tensor:
    """Decode at the smallest DCT scale that keeps `enough` pixels a side, as Pillow does."""
    shape = tf.io.extract_jpeg_shape(content)
    spare = tf.minimum(shape[0], shape[1]) // enough
    index = tf.reduce_sum(tf.cast(spare >= _DCT_SCALES[1:], tf.int32))

    def at(ratio: int) -> Callable[[], tf.Tensor]:
        return lambda: tf.io.decode_jpeg(
            content, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE"
        )

    return tf.switch_case(index, [at(ratio) for ratio in _DCT_SCALES])


def _on_white(image: tf.Tensor) -> tf.Tensor:
    """Turn 1 to 4 channels into RGB, with transparency laid on white; uint8 [h, w, 3]."""
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
    """Squash, crop or pad float64 [h, w, 3] to uint8 [size, size, 3], as `fit_pixels` does."""
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float64))
    if rules.fit == "pad":
        scale = rules.size / tf.maximum(height, width)
        inner = tf.maximum(tf.cast(tf.round(tf.stack([height, width]) * scale), tf.int32), 1)
        before = (rules.size - inner) // 2
        image = _resized(image, (0.0, height), (0.0, width), inner[0], inner[1])
        around = tf.concat([tf.stack([before, rules.size - inner - before], 1), [[0, 0]]], axis=0)
        image = tf.pad(image, around, constant_values=PAD_COLOUR[0])
    else:
        side = tf.minimum(height, width)
        crop = rules.fit == "crop"
        upper, left = ((height - side) / 2, (width - side) / 2) if crop else (0.0, 0.0)
        lower, right = (upper + side, left + side) if crop else (height, width)
        image = _resized(image, (upper, lower), (left, right), rules.size, rules.size)
    return tf.ensure_shape(tf.cast(image, tf.uint8), (rules.size, rules.size, 3))


def _resized(
    image: tf.Tensor, rows: Range, columns: Range, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """Resample a box of float64 [h, w, 3], 0..255, as Pillow does: columns first, then rows.

    `tf.image.resize(antialias=True)` has the same kernel, but rounds once instead of twice, in
    floating point, and knows no box between pixels; a level here and there moves the scores of a
    sharp picture. Pillow sums in fixed point, which float64 holds exactly, so most pictures come
    out bit for bit. For some tall ones Pillow 13 takes the rows first; there a few values in a
    hundred differ by one level.
    """
    columns_first = tf.einsum("hwc,xw->hxc", image, _triangles(columns, tf.shape(image)[1], width))
    image = tf.floor((columns_first + FIXED_POINT / 2) / FIXED_POINT)
    rows_then = tf.einsum("hxc,yh->yxc", image, _triangles(rows, tf.shape(image)[0], height))
    return tf.floor((rows_then + FIXED_POINT / 2) / FIXED_POINT)


def _triangles(part: Range, length: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Return what each source pixel gives to each pixel of the result, float64 [count, length].

    The values are whole numbers, and each row sums to about FIXED_POINT.
    """
    start, end = (tf.cast(bound, tf.float64) for bound in part)
    scale = (end - start) / tf.cast(count, tf.float64)
    reach = tf.maximum(scale, 1.0)
    centres = start + (tf.range(tf.cast(count, tf.float64), dtype=tf.float64) + 0.5) * scale
    pixels = tf.range(tf.cast(length, tf.float64), dtype=tf.float64) + 0.5
    weights = tf.nn.relu(1.0 - tf.abs(pixels - centres[:, None]) / reach)
    shares = weights / tf.reduce_sum(weights, axis=1, keepdims=True)
    return tf.floor(shares * FIXED_POINT + 0.5)
