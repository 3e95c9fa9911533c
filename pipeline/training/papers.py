"""Drawn good pictures on white: pages, charts, sketches, logos, pale things. A gate must not call them blown out.

As in `pipeline.training.drawn`, a painter returns RGB grey levels, float32 [h, w, 3], not yet clipped.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator

from pipeline.training.drawn import (
    Levels,
    along,
    colour_between,
    draw_size,
    flat,
    fractal,
    ink_between,
    places,
    spread,
)

_SANS_AND_SERIF = (0, 1, 2, 3, 4)


def _paper(rng: Generator) -> Levels:
    """Lay a sheet: white as in a file, or nearly white as on a table, lit from one side."""
    size = draw_size(rng)
    if rng.random() < 0.5:
        return flat(size, rng.uniform(250, 255))
    shade = along(size, rng.uniform(0, 2 * np.pi)) * rng.uniform(0, 16) + rng.uniform(-2, 6)
    return (255 - colour_between(rng, 0.8, 1.2) * shade).clip(0, 255).astype(np.float32)


def _words(rng: Generator, letters: int) -> str:
    return "".join(map(chr, rng.integers(97, 123, letters)))


def note(rng: Generator) -> Levels:
    """Write a few lines in any ink."""
    picture = _paper(rng).astype(np.uint8)
    height, width = picture.shape[:2]
    for line in range(int(rng.integers(1, 14))):
        place = int(rng.uniform(0.02, 0.3) * width), int(height * (line + 1) / 15)
        font, scale, pen = int(rng.choice(_SANS_AND_SERIF)), rng.uniform(0.3, 1) * width / 500, int(rng.integers(1, 3))
        words = _words(rng, int(rng.integers(3, 30)))
        cv2.putText(picture, words, place, font, scale, ink_between(rng, 0, 120), pen, cv2.LINE_AA)
    return picture.astype(np.float32)


def page(rng: Generator) -> Levels:
    """Print a page of text."""
    picture = _paper(rng).astype(np.uint8)
    height, width = picture.shape[:2]
    y = 0.08 * height
    while y < 0.92 * height:
        x = 0.08 * width
        while x < 0.85 * width:
            length = rng.uniform(0.02, 0.09) * width
            words = _words(rng, max(1, int(length / 7)))
            cv2.putText(picture, words, (int(x), int(y)), 0, max(0.3, width / 1600), (30, 30, 30), 1, cv2.LINE_AA)
            x += 1.4 * length
        y += (0.095 if rng.random() < 0.1 else 0.045) * height
    return picture.astype(np.float32)


def _axes(picture: Levels, rng: Generator) -> None:
    height, width = picture.shape[:2]
    pen = max(1, height // 300)
    cv2.line(picture, (int(0.08 * width), int(0.9 * height)), (int(0.95 * width), int(0.9 * height)), (0, 0, 0), pen)
    for share in np.linspace(0.1, 0.8, int(rng.integers(3, 7))) if rng.random() < 0.4 else ():
        y = int(share * height)
        cv2.line(picture, (int(0.08 * width), y), (int(0.95 * width), y), (215, 215, 215), 1)


def bars(rng: Generator) -> Levels:
    """Draw a bar chart."""
    picture, count = _paper(rng), int(rng.integers(2, 10))
    height, width = picture.shape[:2]
    _axes(picture, rng)
    few = [ink_between(rng, 20, 250) for _ in range(3)]
    for bar in range(count):
        left, right = (0.1 + 0.8 * (bar + side) / count for side in (0, rng.uniform(0.3, 0.9)))
        top = 0.9 - rng.uniform(0.05, 0.8)
        corners = (int(left * width), int(top * height)), (int(right * width), int(0.9 * height))
        cv2.rectangle(picture, *corners, few[int(rng.integers(3))], -1)
    return picture


def curves(rng: Generator) -> Levels:
    """Draw a chart of curves or a pie."""
    picture = _paper(rng)
    height, width = picture.shape[:2]
    if rng.random() < 0.4:
        turns = np.cumsum(rng.dirichlet(np.ones(int(rng.integers(2, 7))))) * 360
        middle, radius = (width // 2, height // 2), int(rng.uniform(0.15, 0.42) * min(height, width))
        for start, stop in zip((0, *turns), turns, strict=False):
            ink = ink_between(rng, 20, 250)
            cv2.ellipse(picture, middle, (radius, radius), 0, start, stop, ink, -1, cv2.LINE_AA)
        return picture
    _axes(picture, rng)
    for _ in range(int(rng.integers(1, 5))):
        heights = np.clip(np.cumsum(rng.normal(0, 0.08, 12)) + rng.uniform(0.2, 0.7), 0.05, 0.85) * height
        points = np.stack([np.linspace(0.08, 0.95, 12) * width, heights], 1).astype(np.int32)
        cv2.polylines(picture, [points], False, ink_between(rng, 0, 230), max(1, width // 250), cv2.LINE_AA)
    return picture


def sketch(rng: Generator) -> Levels:
    """Draw lines with a pencil."""
    picture = _paper(rng)
    height, width = picture.shape[:2]
    for _ in range(int(rng.integers(5, 80))):
        steps = np.cumsum(rng.normal(0, width * 0.03, (12, 2)), 0) + rng.uniform(0.2, 0.8, 2) * (width, height)
        grey = rng.uniform(20, 170)
        cv2.polylines(picture, [steps.astype(np.int32)], False, (grey, grey, grey), 1, cv2.LINE_AA)
    return picture


def logo(rng: Generator) -> Levels:
    """Draw a few ovals of pure and mixed colours."""
    picture = _paper(rng)
    height, width = picture.shape[:2]
    for _ in range(int(rng.integers(1, 5))):
        ink = tuple(float(rng.choice((rng.uniform(0, 255), 255.0, 0.0))) for _ in range(3))
        place = int(width * rng.uniform(0.3, 0.7)), int(height * rng.uniform(0.3, 0.7))
        axes = int(width * rng.uniform(0.03, 0.2)), int(height * rng.uniform(0.03, 0.2))
        cv2.ellipse(picture, place, axes, rng.uniform(0, 180), 0, 360, ink, -1, cv2.LINE_AA)
    return picture


def _thing(rng: Generator, size: tuple[int, int]) -> Levels:
    """Return the mask of a box or an oval, or of a cup, float32 [h, w, 1]."""
    height, width = size
    mask, shape = np.zeros(size, np.float32), rng.random()
    x, y = int(width * rng.uniform(0.4, 0.6)), int(height * rng.uniform(0.4, 0.6))
    wide, high = int(width * rng.uniform(0.08, 0.3)), int(height * rng.uniform(0.1, 0.3))
    if shape > 0.35:
        cv2.rectangle(mask, (x - wide, y - high), (x + wide, y + high), 1, -1)
    if shape < 0.35:
        cv2.ellipse(mask, (x, y), (wide, high), 0, 0, 360, 1, -1, cv2.LINE_AA)
    elif shape > 0.65:
        cv2.ellipse(mask, (x, y + high), (wide, wide // 3 + 1), 0, 0, 360, 1, -1, cv2.LINE_AA)
        cv2.ellipse(mask, (x, y - high), (wide, wide // 3 + 1), 0, 0, 360, rng.uniform(0.6, 0.95), -1, cv2.LINE_AA)
    return mask[..., None]


def product(rng: Generator) -> Levels:
    """Paint a thing on white, with light from one side and a soft shadow."""
    return _lit(rng, colour_between(rng, 40, 250))


def pale_thing(rng: Generator) -> Levels:
    """Paint a white cup, box or shirt on white."""
    return _lit(rng, rng.uniform(170, 245) * colour_between(rng, 0.92, 1.08))


def _lit(rng: Generator, colour: Levels) -> Levels:
    picture = _paper(rng)
    size = picture.shape[0], picture.shape[1]
    mask = _thing(rng, size)
    shadow = spread(np.roll(mask[..., 0], int(size[0] * 0.05), 0), size[1] / 40)
    _, x = places(size)
    side = 1 + rng.uniform(-0.5, 0.5) * (x - 0.5) + rng.uniform(0, 0.05) * fractal(rng, size, 3, 5, 0.5)
    return np.asarray(
        picture * (1 - rng.uniform(0.05, 0.5) * shadow) * (1 - mask) + np.clip(colour * side, 0, 255) * mask
    )


PAPERS: dict[str, Callable[[Generator], Levels]] = {
    painter.__name__.replace("_", " "): painter
    for painter in (note, page, bars, curves, sketch, logo, product, pale_thing)
}
