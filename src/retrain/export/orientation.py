"""EXIF orientation in a TensorFlow graph: read from JPEG, PNG and WebP files, and applied.

The formats keep a small TIFF file with the orientation among their segments (JPEG: APP1, "Exif
specification 2.3", section 4.7), chunks (PNG: eXIf), or RIFF chunks (WebP: EXIF). What is damaged
counts as upright, as in `data/images.py`.
"""

from collections.abc import Callable

import tensorflow as tf

ORIENTATION = 0x0112  # its tag
SHORT, LONG = 3, 4  # types of values
_ENTRY = 12  # bytes of a tag with its value
_SPARE = 16  # zeros behind the file, so that what is read last never lies outside

Step = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]  # start of a part -> its EXIF, the next


def read_orientation(content: tf.Tensor) -> tf.Tensor:
    """Return the orientation of a picture file, int64 1..8; 1 where it has none.

    Args:
        content: the bytes of the file, a string.
    """
    file = _File(content)
    start = tf.case(
        [
            (file.holds(0, b"\xff\xd8\xff"), lambda: file.walk(2, file.jpeg_segment)),
            (file.holds(0, b"\x89PNG\r\n\x1a\n"), lambda: file.walk(8, file.png_chunk)),
            (file.holds(8, b"WEBP"), lambda: file.walk(12, file.webp_chunk)),
        ],
        default=lambda: tf.constant(-1, tf.int64),
    )
    return tf.cond(start < 0, lambda: tf.constant(1, tf.int64), lambda: file.orientation(start))


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn an image [h, w, c] that is stored under an orientation, int64 1..8."""
    image = tf.cond(
        orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: tf.identity(image)
    )
    for axis, mirrored in ((1, (2, 3, 6, 7)), (0, (3, 4, 7, 8))):
        is_mirrored = tf.reduce_any(orientation == tf.constant(mirrored, tf.int64))
        image = tf.where(is_mirrored, tf.reverse(image, [axis]), image)
    return image


class _File:
    """The bytes of a file, as numbers; positions are int64 from its first byte."""

    def __init__(self, content: tf.Tensor) -> None:
        self._bytes = tf.pad(tf.io.decode_raw(content, tf.uint8), [[0, _SPARE]])
        self._end = tf.cast(tf.shape(self._bytes)[0], tf.int64) - _SPARE

    def _at(self, positions: tf.Tensor) -> tf.Tensor:
        inside = tf.clip_by_value(tf.cast(positions, tf.int64), 0, self._end)
        return tf.cast(tf.gather(self._bytes, inside), tf.int64)

    def holds(self, position: tf.Tensor | int, text: bytes) -> tf.Tensor:
        """Tell whether a text stands at a position."""
        places = tf.cast(position, tf.int64) + tf.range(len(text), dtype=tf.int64)
        return tf.reduce_all(self._at(places) == tf.constant(list(text), tf.int64))

    def number(self, position: tf.Tensor, length: int, little: tf.Tensor | bool) -> tf.Tensor:
        """Return the numbers of `length` bytes at some positions."""
        total = tf.zeros_like(position)
        for place in range(length):
            low, high = 256**place, 256 ** (length - 1 - place)
            weight = tf.where(little, tf.constant(low, tf.int64), tf.constant(high, tf.int64))
            total += self._at(position + place) * weight
        return total

    def walk(self, first: int, step: Step) -> tf.Tensor:
        """Go from part to part; return where the EXIF begins, -1 where there is none."""

        def go_on(position: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
            return (exif < 0) & (position < self._end)

        def go(position: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            exif, after = step(position)
            return after, exif

        start = (tf.constant(first, tf.int64), tf.constant(-1, tf.int64))
        _, found = tf.while_loop(go_on, go, start)
        return found

    def jpeg_segment(self, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Look at one segment; those behind the picture's own data are none of it."""
        marker = self._at(position + 1)
        is_exif = (marker == 0xE1) & self.holds(position + 4, b"Exif\0\0")
        is_last = (self._at(position) != 0xFF) | (marker == 0xDA) | (marker == 0xD9)
        after = position + 2 + self.number(position + 2, 2, little=False)
        after = tf.where(marker == 0xFF, position + 1, after)  # a byte of padding
        return tf.where(is_exif, position + 10, -1), tf.where(is_last, self._end, after)

    def png_chunk(self, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Look at one chunk: length, name, data, checksum."""
        after = position + 12 + self.number(position, 4, little=False)
        return tf.where(self.holds(position + 4, b"eXIf"), position + 8, -1), after

    def webp_chunk(self, position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Look at one chunk: name, length, data, which some writers begin as JPEG does."""
        length = self.number(position + 4, 4, little=True)
        after = position + 8 + length + length % 2
        start = tf.where(self.holds(position + 8, b"Exif\0\0"), position + 14, position + 8)
        return tf.where(self.holds(position, b"EXIF"), start, -1), after

    def orientation(self, start: tf.Tensor) -> tf.Tensor:
        """Return the orientation in the TIFF file that begins at a position."""
        little = self.holds(start, b"II*\0")
        directory = start + self.number(start + 4, 4, little)
        count = self.number(directory, 2, little)
        fitting = tf.maximum((self._end - directory - 2) // _ENTRY, 0)
        entries = directory + 2 + _ENTRY * tf.range(tf.minimum(count, fitting))
        entry = entries[self.number(entries, 2, little) == ORIENTATION][:1]
        kind = self.number(entry + 2, 2, little)
        value = tf.where(kind == SHORT, self.number(entry + 8, 2, little), 1)
        value = tf.where(kind == LONG, self.number(entry + 8, 4, little), value)
        is_tiff = little | self.holds(start, b"MM\0*")
        value = tf.reduce_max(tf.concat([value, tf.ones([1], tf.int64)], axis=0))
        return tf.where(is_tiff & (value <= 8), value, 1)
