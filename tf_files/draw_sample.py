"""Draws the sample pictures: sixty JPEGs each of boats, houses and trees.

Run `python tf_files/draw_sample.py [DEST]`; without DEST it fills `data` beside this file.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

SEED, PICTURES, OVERSAMPLING = 2024, 60, 3
INK, WHITE, SMOKE, SUN = "#2d2832", "#f2f0ec", "#d0d0d4", "#fff3b8"
PAINTS = ("#b8392b", "#1f4e79", "#2e8b72", "#efece0", "#e0a030", "#6b4a8a", "#444a55", "#8a5a33")
WALLS = ("#f0e2c4", "#e4b06a", "#d98c7a", "#b7c9d6", "#f0eee6", "#c2cfa5", "#a9745a")
ROOFS = ("#a23b2a", "#6d3a2c", "#4a4e5c", "#8a5a3a", "#3e5f5a", "#c4643c")
GREENS = ("#2f6b34", "#4f8f3a", "#7aa63c", "#1f5a4a", "#2f6670")
WOODS = ("#6b4a2f", "#50382a", "#7d6044", "#6a5a50")
GLASS = ("#35506b", "#9fc3d8", "#ffe08a", "#2b2f3a")
STONES = ("#9a9690", "#85888f", "#8b8078")
# The sky's colour at the top and at the bottom, and the light that falls on the whole picture.
SKIES = (
    ("#3f86d0", "#cfe6f5", (1.0, 1.0, 1.0)),
    ("#9aa7b2", "#e4e4de", (0.95, 0.96, 0.97)),
    ("#6c7fb5", "#ffc58a", (1.0, 0.88, 0.8)),
    ("#7a5a9a", "#ff9a70", (0.95, 0.8, 0.8)),
    ("#34477f", "#93a4cc", (0.7, 0.76, 0.9)),
)
# The ground's colours, and how far across and up each of the marks on it reaches.
WATER = (("#2f6f9f", "#3f82a8", "#6a9fba"), 0.06, 0.0)
MEADOW = (("#6f9a45", "#7fa54c", "#94a850"), 0.003, 0.02)
SNOW = (("#e6ebf2", "#d5dce6"), 0.012, 0.003)
SAND = (("#d8c08a", "#c9ac78"), 0.006, 0.0)
GROUNDS = (WATER, WATER, WATER, MEADOW, SNOW, SAND, (STONES, 0.03, 0.0))

Point = tuple[float, float]
Sketch = Callable[["Pen"], None]


@dataclass
class Pen:
    """Draws in units of its own: x to the right, y up from the foot of what it draws."""

    draw: ImageDraw.ImageDraw
    rng: np.random.Generator
    x: float
    y: float
    size: float
    angle: float = 0.0
    stretch: float = 1.0
    outline: int = 0

    def pixels(self, points: Sequence[Point]) -> list[Point]:
        """Find where the points lie on the picture."""
        cos, sin = self.size * np.cos(self.angle), self.size * np.sin(self.angle)
        wide = [(x * self.stretch, y) for x, y in points]
        return [(self.x + x * cos - y * sin, self.y - x * sin - y * cos) for x, y in wide]

    def stroke(self, colour: str, thickness: float, *points: Point) -> None:
        """Draw a line through the points."""
        self.draw.line(self.pixels(points), colour, round(thickness * self.size), joint="curve")

    def shape(self, colour: str, *points: Point) -> None:
        """Draw a filled polygon."""
        corners = self.pixels(points)
        self.draw.polygon(corners, colour)
        if self.outline:
            self.draw.line([*corners, *corners[:2]], INK, self.outline, joint="curve")

    def oval(self, colour: str, x: float, y: float, wide: float, high: float) -> None:
        """Draw a filled ellipse of the given half axes."""
        turns = np.linspace(0, 2 * np.pi, 28)
        self.shape(colour, *zip(x + wide * np.cos(turns), y + high * np.sin(turns), strict=True))

    def box(self, colour: str, left: float, low: float, right: float, top: float) -> None:
        """Draw a filled rectangle."""
        self.shape(colour, (left, low), (right, low), (right, top), (left, top))

    def panes(self, colour: str, low: Point, top: Point, rows: int = 1) -> None:
        """Draw rows of small rectangles between two corners: windows, posts or far city blocks."""
        columns = int(self.rng.integers(2, 5))
        wide, high = (top[0] - low[0]) / columns, (top[1] - low[1]) / rows
        for pane in range(columns * rows):
            x, y = low[0] + (pane % columns + 0.2) * wide, low[1] + (pane // columns + 0.2) * high
            self.box(colour, x, y, x + 0.6 * wide, y + 0.6 * high)

    def lumps(self, colours: Sequence[str], foot: float = 0.0) -> None:
        """Draw a heap of rounded lumps: a crown of leaves, a bush, a rock or a cloud."""
        for x in self.rng.permutation(np.linspace(-0.3, 0.3, self.rng.integers(4, 9))):
            high = self.rng.uniform(0.18, 0.28)
            self.oval(self.rng.choice(colours), x, foot + high + 0.2 - abs(x) / 2, high, high)


def hull(pen: Pen, high: float) -> None:
    """Draw the body of a boat, bow to the right, with a stripe along it."""
    pen.shape(pen.rng.choice(PAINTS), (-0.55, high), (-0.45, 0), (0.4, 0), (0.6, 0.28), (0.1, high))
    pen.stroke(pen.rng.choice(PAINTS), 0.02, (-0.5, high * 0.7), (0.5, high * 0.75))


def sailing_boat(pen: Pen) -> None:
    """Draw a mast, a mainsail and a jib."""
    sail, foot = pen.rng.choice((WHITE, WHITE, *PAINTS)), pen.rng.uniform(0.26, 0.32)
    pen.stroke(pen.rng.choice(WOODS), 0.025, (0.05, 0.1), (0.05, 1.03))
    pen.shape(sail, (0.02, foot), (0.02, 0.98), (pen.rng.uniform(-0.5, -0.35), foot))
    pen.shape(sail, (0.08, foot), (0.08, pen.rng.uniform(0.65, 0.92)), (0.52, foot))
    hull(pen, pen.rng.uniform(0.15, 0.2))


def steamer(pen: Pen) -> None:
    """Draw a cabin and one to three smoking funnels."""
    paint, deck = pen.rng.choice(PAINTS), pen.rng.uniform(0.4, 0.5)
    for x in (-0.22, 0.0, 0.2)[: pen.rng.integers(1, 4)]:
        for puff in range(4):
            pen.oval(SMOKE, x - 0.08 * puff, 0.8 + 0.06 * puff, 0.05 + 0.02 * puff, 0.05)
        pen.box(paint, x - 0.05, deck, x + 0.05, 0.78)
    pen.box(WHITE, -0.42, 0.15, 0.36, deck)
    pen.panes(pen.rng.choice(GLASS), (-0.4, 0.24), (0.34, deck))
    hull(pen, pen.rng.uniform(0.18, 0.25))


def rowing_boat(pen: Pen) -> None:
    """Draw a low open boat, its rower and an oar."""
    pen.oval(pen.rng.choice(PAINTS), 0, 0.34, 0.11, 0.2)
    pen.oval(pen.rng.choice(("#e8b890", "#8a5a3c")), pen.rng.uniform(-0.06, 0.06), 0.62, 0.09, 0.1)
    hull(pen, pen.rng.uniform(0.2, 0.27))
    pen.shape(WOODS[0], (0.12, 0.45), (0.1, 0.45), (-0.48, -0.06), (-0.43, -0.1))


def front(pen: Pen, left: float, right: float, top: float) -> None:
    """Draw the front wall of a house, with windows above a door."""
    pen.box(pen.rng.choice(WALLS), left, 0, right, top)
    pen.panes(pen.rng.choice(GLASS), (left, 0.27), (right, top), rows=1 + (top > 0.65))
    pen.box(pen.rng.choice(PAINTS), left + 0.08, 0, left + 0.21, 0.25)


def gable_house(pen: Pen) -> None:
    """Draw a pointed roof with a chimney."""
    half, eaves = pen.rng.uniform(0.32, 0.48), pen.rng.uniform(0.48, 0.62)
    pen.box(pen.rng.choice(ROOFS), half * 0.45, eaves, half * 0.45 + 0.1, 0.98)
    front(pen, -half, half, eaves)
    pen.shape(pen.rng.choice(ROOFS), (-half - 0.09, eaves), (0, 0.98), (half + 0.09, eaves))


def flat_house(pen: Pen) -> None:
    """Draw a flat roof, and a lower wing."""
    for left, right, top in ((0.1, 0.58, 0.45), (-0.5, 0.18, pen.rng.uniform(0.6, 0.9))):
        front(pen, left, right, top)
        pen.box(pen.rng.choice(ROOFS), left - 0.05, top, right + 0.05, top + 0.06)


def tower_house(pen: Pen) -> None:
    """Draw a gable with a pointed tower beside it."""
    gable_house(pen)
    pen.box(pen.rng.choice(WALLS), 0.3, 0, 0.58, 0.75)
    pen.panes(pen.rng.choice(GLASS), (0.3, 0.2), (0.58, 0.75), rows=2)
    pen.shape(pen.rng.choice(ROOFS), (0.24, 0.74), (0.44, 1.1), (0.64, 0.74))


def conifer(pen: Pen) -> None:
    """Draw three to five tiers of branches, each smaller than the one below."""
    green, tiers, half = pen.rng.choice(GREENS), pen.rng.integers(3, 6), pen.rng.uniform(0.28, 0.42)
    pen.stroke(pen.rng.choice(WOODS), 0.1, (0, 0), (0, 0.3))
    for tier in range(tiers):
        low, reach = 0.17 + 0.6 * tier / tiers, half * (1 - 0.75 * tier / tiers)
        pen.shape(green, (-reach, low), (0, low + 0.25 + 0.3 / tiers), (reach, low))


def round_tree(pen: Pen) -> None:
    """Draw a round crown in the colour of the season."""
    pen.stroke(pen.rng.choice(WOODS), pen.rng.uniform(0.07, 0.13), (0, 0), (0, 0.5))
    pen.lumps((pen.rng.choice((*GREENS, "#c98a2b", "#b5502d", "#e3a5b5")),), foot=0.3)


def palm(pen: Pen) -> None:
    """Draw a bent trunk with a tuft of long drooping leaves."""
    green, bend = pen.rng.choice(GREENS), pen.rng.uniform(-0.2, 0.2)
    pen.stroke(pen.rng.choice(WOODS), 0.07, (0, 0), (bend * 0.3, 0.4), (bend, 0.78))
    for turn in np.linspace(-0.4, np.pi + 0.4, pen.rng.integers(7, 11)):
        x, y = bend + 0.4 * np.cos(turn), 0.66 + 0.2 * np.sin(turn)
        pen.shape(green, (bend, 0.76), ((x + bend) / 2, y + 0.2), (x, y), ((x + bend) / 2, y + 0.1))


def bare_tree(pen: Pen) -> None:
    """Draw a branch that forks into smaller trees like itself, down to the twigs."""
    pen.stroke(WOODS[1], 0.07, (0, 0), (0, 0.36))
    x, y = pen.pixels([(0, 0.34)])[0]
    for turn in pen.rng.normal((-0.45, 0.5), 0.15) if pen.size > 60 else ():
        bare_tree(replace(pen, x=x, y=y, angle=pen.angle + turn, size=pen.size * 0.72))


CATEGORIES: dict[str, Sequence[Sketch]] = {
    "boat": (sailing_boat, steamer, rowing_boat),
    "house": (gable_house, flat_house, tower_house),
    "tree": (conifer, round_tree, palm, bare_tree),
}
CLOUD, BUSH, ROCK = (partial(Pen.lumps, colours=c) for c in ((WHITE, SMOKE), GREENS, STONES))
HILL = partial(Pen.oval, colour="#8ba09c", x=0, y=0, wide=1.2, high=0.4)
BLOCKS = partial(Pen.panes, colour="#a4adba", low=(-0.5, -1), top=(0.5, 1))
POSTS = partial(Pen.panes, colour=WOODS[2], low=(-0.5, 0), top=(0.5, 1))


def scatter(pen: Pen, sketches: Sequence[Sketch], top: float, low: float, size: float) -> None:
    """Draw up to three of the sketches, the far ones first."""
    for y in sorted(pen.rng.uniform(top, low, pen.rng.integers(4))):
        x, scale = 2 * pen.x * pen.rng.random(), pen.size * size * pen.rng.uniform(0.6, 1.4)
        sketches[int(pen.rng.integers(len(sketches)))](replace(pen, x=x, y=y, size=scale))


def landscape(pen: Pen) -> bool:
    """Draw all that is behind the object but the bare sky; say whether there is water."""
    pen.oval(SUN, pen.rng.uniform(-0.7, 0.7), pen.rng.uniform(0, 0.6), 0.07, 0.07)
    scatter(pen, (CLOUD,), 0, pen.y * 0.7, 0.2)
    scatter(pen, (HILL, BLOCKS), pen.y, pen.y, 0.35)
    colours, across, up = GROUNDS[pen.rng.integers(len(GROUNDS))]
    pen.box(colours[0], -1, -1, 1, 0)
    for x, y in pen.rng.uniform((-0.6, -0.5), (0.5, 0), (200, 2)):
        pen.stroke(pen.rng.choice(colours), 0.006, (x, y), (x + across, y - up))
    return colours is WATER[0]


def picture(sketch: Sketch, rng: np.random.Generator) -> Image.Image:
    """Draw the object in a landscape of its own, as a camera would have it."""
    wide, high = (OVERSAMPLING * rng.integers(125, 201, 2)).tolist()
    top, bottom, light = SKIES[rng.integers(len(SKIES))]
    canvas = ImageOps.colorize(Image.linear_gradient("L").resize((wide, high)), top, bottom)
    horizon, reach = high * rng.uniform(0.5, 0.75), min(wide, high) * rng.uniform(0.55, 0.8)
    pen = Pen(ImageDraw.Draw(canvas), rng, wide / 2, horizon, max(wide, high))
    water = landscape(pen)
    x, y = rng.uniform((0.6 * reach, max(horizon, reach)), (wide - 0.6 * reach, 0.95 * high))
    scatter(pen, (BUSH, ROCK, POSTS), horizon, y, 0.12)
    subject = replace(pen, x=x, y=y, size=reach, stretch=rng.choice((-1.15, -0.9, 0.9, 1.15)))
    # Some boats lie on an island too, lest it tell that the picture is not of a boat.
    if water and (sketch not in CATEGORIES["boat"] or rng.random() < 0.4):
        subject.oval(MEADOW[0][0], 0, -0.02, 0.65, 0.1)
    subject.angle, subject.outline = rng.uniform(-0.1, 0.1), int(OVERSAMPLING * rng.uniform(0, 2.2))
    sketch(subject)
    scatter(pen, (BUSH, ROCK, POSTS), y, high, 0.08)
    small = canvas.reduce(OVERSAMPLING).filter(ImageFilter.GaussianBlur(rng.uniform(0, 0.9)))
    noise = rng.normal(0, rng.uniform(2, 9), (small.height, small.width, 3))
    return Image.fromarray(np.clip(np.asarray(small) * light + noise, 0, 255).astype(np.uint8))


def main() -> None:
    """Write the pictures of all the categories."""
    parser = argparse.ArgumentParser(description="Draws the sample pictures.")
    parser.add_argument("dest", nargs="?", type=Path, default=Path(__file__).parent / "data")
    dest: Path = parser.parse_args().dest
    for index, (name, sketches) in enumerate(CATEGORIES.items()):
        (dest / name).mkdir(parents=True, exist_ok=True)
        for number in range(1, PICTURES + 1):
            rng = np.random.default_rng((SEED, index, number))
            image = picture(sketches[number % len(sketches)], rng)
            image.save(dest / name / f"{name}-{number:02}.jpg", quality=int(rng.integers(60, 86)))


if __name__ == "__main__":
    main()
