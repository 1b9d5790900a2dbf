"""A workspace with a few drawn pictures and findings of each kind."""

import time
from pathlib import Path

from pictures import CATEGORIES, write_workspace
from retrain.clean.album import Album
from retrain.clean.review import Review
from retrain.data.images import PixelRules
from retrain.evaluate.findings import Finding, ranked, write_findings
from retrain.workspace import Workspace

RULES = PixelRules(64, "squash")


def findings() -> list[Finding]:
    """Return a finding of each kind; the first three are about labels."""
    return ranked(
        [
            Finding("label", ("disc/disc-000.jpg",), "disc", "stripes", 0.9, "It looks striped."),
            Finding("label", ("disc/disc-001.jpg",), "disc", "squares", 0.8, "It looks square."),
            Finding("label", ("stripes/stripes-000.jpg",), "stripes", "disc", 0.7, "Round."),
            Finding("unusual", ("squares/squares-002.jpg",), "squares", "", 0.6, "Far away."),
            Finding(
                "copy",
                ("disc/disc-002.jpg", "squares/squares-003.jpg"),
                "disc",
                "",
                0.5,
                "The same in two categories.",
            ),
            Finding("quality", (), "stripes", "", 0.1, "Only 6 pictures."),
        ]
    )


def workspace(root: Path, each: int = 6) -> Workspace:
    """Return a workspace with findings that a check has left."""
    write_workspace(root, each, CATEGORIES)
    write_findings(root, findings())
    return Workspace(root)


def review(place: Workspace) -> Review:
    """Open it."""
    return Review(place, Album.of(place, RULES, time.time()), findings())
