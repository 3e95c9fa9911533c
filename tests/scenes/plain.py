"""Good pictures that single numbers mistake for junk: little structure, soft parts, much dark or much white.

Drawn apart from the scenes of `draw`, which all are full of edges.
"""

from collections.abc import Callable

import numpy as np

from tests.scenes.canvas import Canvas, Image, mix


def clear_sky(c: Canvas) -> None:
    """Paint a sky with a few soft clouds."""
    c.sky("#2f6fb5", mix("#8fc1e8", "#ffffff", c.between(0, 0.5)))
    cloud = np.clip((c.noise(c.between(1, 2), 5, stretch=c.between(1, 3)) - 0.5) * c.between(0.8, 2), 0, 0.7)
    c.lay(cloud, "#f4f6f8")


def overcast(c: Canvas) -> None:
    """Paint a grey sky."""
    c.sky("#8e949b", "#c3c6c9")
    c.shade(c.noise(c.between(1, 3), 4, stretch=2), c.between(0.05, 0.2))


def evening(c: Canvas) -> None:
    """Paint the sun in the clouds over dark land."""
    c.sky("#27305e", "#a65a62", "#f0a04b", bottom=1.0)
    x, y = c.between(0.2, 0.8), c.between(0.5, 0.7)
    c.glow(x, y, c.between(0.1, 0.3), "#fff0c8")
    c.shade(c.noise(2, 5, stretch=5), 0.3)
    c.lay(c.below(0.8 + 0.05 * c.ridge(3)), "#0d0b10")


def bare_wall(c: Canvas) -> None:
    """Paint a wall with the light of a window beside it."""
    c.sky(c.pick("#b9b09f", "#8a9a92", "#d9d4ca", "#93a3bd"))
    c.glow(c.between(-0.2, 1.2), c.between(0, 1), c.between(0.5, 1), "#fff8ea", c.between(0.1, 0.5))
    c.shade(c.noise(60, 3), c.between(0.02, 0.08))


def fog(c: Canvas) -> None:
    """Paint trees that fade in the fog."""
    c.sky("#b9bfc3", "#c9cccd")
    for x in c.rng.uniform(0, 1, int(c.rng.integers(4, 10))):
        near, foot = c.between(0.05, 0.3), c.between(0.7, 0.95)
        ink, top = mix("#c0c5c8", "#3c4448", near), c.between(0.15, 0.5)
        c.stroke([(x, foot), (x + c.between(-0.02, 0.02), top)], ink, 0.01)
        for _ in range(14):
            y = c.between(top, 0.9 * foot)
            c.stroke([(x, y), (x + c.between(-0.08, 0.08), y - c.between(0.02, 0.09))], ink, 0.004)


def snow(c: Canvas) -> None:
    """Paint posts in a field of snow."""
    c.sky("#dfe5ec", "#f7f8fa", bottom=0.4)
    c.sky("#eef1f5", "#fbfbfc", top=0.4)
    c.shade(c.noise(3, 4, stretch=3), 0.05)
    for x in c.rng.uniform(0, 1, int(c.rng.integers(2, 9))):
        y = c.between(0.45, 0.9)
        c.stroke([(x, y), (x, y - 0.12)], c.pick("#5b5148", "#3a3f45"), 0.008)


def night(c: Canvas) -> None:
    """Paint windows and lamps in the dark."""
    c.sky("#020204", "#06070c")
    for _ in range(int(c.rng.integers(6, 30))):
        x, y, size = c.between(0, 1), c.between(0.3, 0.95), c.between(0.004, 0.02)
        c.box(x, y, x + size, y + 1.5 * size, c.pick("#ffd98a", "#ffb765", "#dfe9ff"))


def bokeh(c: Canvas) -> None:
    """Paint a flower before lights far out of focus."""
    c.sky("#1d2a22", "#3a4a30")
    for _ in range(int(c.rng.integers(6, 20))):
        c.glow(c.between(0, 1), c.between(0, 1), c.between(0.05, 0.15), c.pick("#d9b45a", "#7fa86a", "#a06a8a"), 0.6)
    x, y, size = c.between(0.3, 0.7), c.between(0.3, 0.6), c.between(0.04, 0.09)
    c.stroke([(x, y), (x + 0.03, 1)], "#5f8a3f", 0.012)
    for petal in range(11):
        angle = petal * 2 * np.pi / 11
        place = x + np.cos(angle) * size / c.aspect, y + np.sin(angle) * size
        c.oval(*place, 0.8 * size, 0.28 * size, c.pick("#f3e9f0", "#e6cfe0"), float(np.degrees(angle)))
    c.oval(x, y, 0.4 * size, 0.4 * size, "#c9982a")


def product(c: Canvas) -> None:
    """Paint a pot on white paper, with its shadow."""
    c.sky("#ffffff")
    x, y = c.between(0.4, 0.6), c.between(0.55, 0.7)
    c.glow(x, y + 0.13, 0.2, "#c9c9c9", 0.8)
    c.ball(x, y, c.between(0.12, 0.25), c.pick("#a33b2f", "#3a6ea5", "#d9cdb8", "#eeeae2"))


def page(c: Canvas) -> None:
    """Write a page."""
    c.sky(c.pick("#ffffff", "#f5f2ea", "#fcfcfc"))
    for line in range(int(c.rng.integers(2, 18))):
        words = " ".join("".join(map(chr, c.rng.integers(97, 123, c.rng.integers(2, 9)))) for _ in range(6))
        c.words(0.08, 0.1 + 0.05 * line, words, 0.022, "#202020")


def chart(c: Canvas) -> None:
    """Draw bars on white."""
    c.sky("#ffffff")
    for bar in range(int(c.rng.integers(3, 9))):
        left = 0.1 + 0.09 * bar
        c.box(left, c.between(0.2, 0.8), left + 0.06, 0.9, c.pick("#4472c4", "#ed7d31", "#a5a5a5", "#ffc000"))
    c.stroke([(0.08, 0.9), (0.95, 0.9)], "#000000", 0.003)


def drawing(c: Canvas) -> None:
    """Draw lines with a pencil."""
    c.sky("#fefefe")
    for _ in range(int(c.rng.integers(8, 50))):
        steps = np.cumsum(c.rng.normal(0, 0.03, (12, 2)), 0) + c.rng.uniform(0.2, 0.8, 2)
        c.stroke([(float(x), float(y)) for x, y in steps], c.pick("#303030", "#6a6a6a"), 0.003)


def white_on_white(c: Canvas) -> None:
    """Paint a white cup on a white table."""
    c.sky("#f6f6f4", "#ffffff")
    x, y = c.between(0.4, 0.6), c.between(0.4, 0.55)
    c.oval(x, y + 0.16, 0.16, 0.04, "#dcdcda")
    c.box(x - 0.1, y, x + 0.1, y + 0.18, "#e9e8e4")
    c.oval(x, y, 0.1 * c.aspect, 0.035, "#c9c5bc")
    c.oval(x, y, 0.085 * c.aspect, 0.027, "#6a4a32")


def low_key(c: Canvas) -> None:
    """Paint a lit face of a ball in a black room."""
    c.sky("#0a090b")
    c.ball(c.between(0.3, 0.7), c.between(0.35, 0.65), c.between(0.12, 0.25), c.pick("#8a5a3a", "#4a5a7a", "#777777"))


PAINTERS: dict[str, Callable[[Canvas], None]] = {
    painter.__name__.replace("_", " "): painter
    for painter in (
        clear_sky, overcast, evening, bare_wall, fog, snow, night, bokeh, product, page, chart, drawing,
        white_on_white, low_key,
    )
}  # fmt: skip


def draw_plain(name: str, seed: int, size: tuple[int, int] = (640, 480), grain: float = 1.0) -> Image:
    """Draw a good picture of the kind: RGB, uint8, [height, width, 3]; `grain` is its noise in grey levels."""
    canvas = Canvas(np.random.default_rng(seed), size)
    PAINTERS[name](canvas)
    noise = grain * canvas.rng.standard_normal(canvas.pixels.shape)
    return np.asarray((canvas.pixels + noise).round().clip(0, 255), np.uint8)
