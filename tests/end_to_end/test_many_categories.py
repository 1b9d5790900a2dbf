"""More categories than a matrix can show."""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

from commands import QUICKEST, retrain

CATEGORIES = 201


def test_confusions_of_many_categories_are_a_csv_and_no_matrix(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for category in range(CATEGORIES):
        folder = tmp_path / "data" / f"{category:03d}"
        folder.mkdir(parents=True)
        for name in ("a.png", "b.png"):
            colours = random.integers(0, 256, (2, 2, 3)).astype(np.uint8)
            Image.fromarray(colours).resize((32, 32)).save(folder / name)
    result = retrain("train", tmp_path, *QUICKEST)
    assert result.returncode == 0, result.stderr
    metrics = json.loads((tmp_path / "model" / "metrics.json").read_text())
    assert metrics["cross_fitted"]["pictures"] == 2 * CATEGORIES
    assert "confusion" not in metrics["cross_fitted"]
    with (tmp_path / "model" / "confusion.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert {cell["category"] for cell in cells} == {f"{c:03d}" for c in range(CATEGORIES)}
    assert sum(int(cell["pictures"]) for cell in cells) == 2 * CATEGORIES
