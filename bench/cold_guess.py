"""Measure one guess as a whole process: `retrain guess` against the SavedModel in TensorFlow.

    python bench/cold_guess.py TF_FILES [PICTURE] [--rounds 9]

Both start Python, load the published model of TF_FILES and print the categories of one picture;
the peer does what any TensorFlow program would: load `saved_model`, call `serving_default` on the
file's bytes. They alternate; medians; the file cache is warm. `retrain --help` is timed beside.
"""

import argparse
import os
import sys
from pathlib import Path

from processes import in_turn, print_table
from retrain.data.sources import visible_files

PEER = """
import sys
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
with open(sys.argv[2], "rb") as file:
    answer = model(image_bytes=tf.constant([file.read()]))
for category, score in zip(answer["classes"][0].numpy(), answer["scores"][0].numpy()):
    print(f"{category.decode()} (score = {score:.5f})")
"""


def main() -> None:
    """Read the command line, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tf_files", type=Path, help="a workspace with a trained model")
    parser.add_argument("picture", type=Path, nargs="?", help="default: the first of its data")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    picture = args.picture or next(visible_files(args.tf_files / "data"))
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    retrain = [sys.executable, "-m", "retrain"]
    commands = {
        "retrain guess": [*retrain, "guess", str(args.tf_files), str(picture)],
        "retrain guess in float32": [
            *(*retrain, "guess", str(args.tf_files), str(picture), "--precision", "float32"),
        ],
        "SavedModel in TensorFlow": [
            *(sys.executable, "-c", PEER),
            *(str(args.tf_files / "model" / "saved_model"), str(picture)),
        ],
        "retrain --help": [*retrain, "--help"],
    }
    print_table(in_turn(commands, args.rounds))


if __name__ == "__main__":
    main()
