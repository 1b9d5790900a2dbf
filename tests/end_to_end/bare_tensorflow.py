"""Loads a SavedModel in a process that cannot import anything of ours, and prints its scores.

Usage: python -I bare_tensorflow.py SAVED_MODEL PICTURE... -> one JSON line: {path: {class: score}}
"""

import json
import sys
from pathlib import Path

import tensorflow as tf


def main() -> None:
    sys.modules["retrain"] = None  # type: ignore[assignment]  # importing it now fails
    signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
    contents = [Path(path).read_bytes() for path in sys.argv[2:]]
    answer = signature(image_bytes=tf.constant(contents))
    classes, scores = answer["classes"].numpy(), answer["scores"].numpy()
    rows = [
        {name.decode(): float(score) for name, score in zip(*row, strict=True)}
        for row in zip(classes, scores, strict=True)
    ]
    print(json.dumps(dict(zip(sys.argv[2:], rows, strict=True))))


if __name__ == "__main__":
    main()
