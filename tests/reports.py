"""Makes up what a report tells."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pictures import write_jpegs
from retrain.data.images import PixelRules
from retrain.evaluate.related_pairs import Pair
from retrain.evaluate.report import Facts
from retrain.evaluate.verdicts import Verdict

NOISE = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)


def facts(root: Path, count: int, categories: int, related: Sequence[Pair] = ()) -> Facts:
    """Return facts with many held-back pictures, each a file of its own, a third of them wrong."""
    sources = write_jpegs(root, "noise", 20)
    labels = [f"category {i}" for i in range(categories)]
    found = []
    for i in range(count):
        path = root / f"{i}.jpg"
        path.hardlink_to(sources[i % len(sources)])
        guess = labels[(i + (i % 3 == 0) * (i // 7)) % categories]
        found.append(
            Verdict(path.name, path, "test", labels[i % categories], guess, 0.9, 0.1, float(-i))
        )
    heat = {v.name: (NOISE, NOISE) for v in found[:24]}
    return Facts(
        run="run",
        labels=labels,
        rules=PixelRules(224, "squash"),
        verdicts=found,
        metrics={},
        learning=("", ""),
        related=related,
        heat=heat,
        counts={},
        skipped=[("a.jpg", "broken")] * 1000,
        settings=[],
        environment=[],
        command="",
        history="",
        missing=[],
    )
