"""What is white by right, and what has nothing left: for the network that judges exposure alone.

ON_WHITE holds ways of laying a photograph on white or of drawing it there, functions of the picture, uint8 RGB
[h, w, 3], and a generator; SHEETS painters of good pages that `pipeline.training.papers` lacks; BLANKS painters of
frames that are bad, and BURNT of drawn scenes that are. No bench knows them. As in `pipeline.training.drawn`, levels
are not yet clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pipeline.decode import Pixels
from pipeline.training.drawn import Levels, confetti, draw_size, flat, fractal, ink_between
from pipeline.training.optics import EXPOSURES, overexposed

Plane = NDArray[np.float32]
Put = Callable[[Pixels, Generator], NDArray[np.floating]]

_FONTS = (0, 2, 3)


def _scale(rgb: Pixels) -> float:
    return max(1.0, float(max(rgb.shape[:2])) / 400)


def _soft(plane: NDArray[np.generic], sigma: float) -> Plane:
    return cast(Plane, cv2.GaussianBlur(np.asarray(plane, np.float32), (0, 0), sigma))


def _grey(rgb: Pixels) -> Plane:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)


def _tint(rng: Generator, least: float) -> Levels:
    return rng.uniform(least, 1, 3) if rng.random() < 0.4 else np.ones(3)


def _words(rng: Generator, letters: int) -> str:
    return "".join(map(chr, rng.integers(97, 123, letters)))


def pencil(rgb: Pixels, rng: Generator) -> Levels:
    """Draw what differs from its surroundings, as a soft pencil does: tones run out into the paper."""
    grey = _grey(rgb)
    around = np.maximum(_soft(grey, rng.uniform(1.5, 8) * _scale(rgb)), 8)
    drawn = 255 * np.clip(grey / around, 0, 1) ** rng.uniform(1, 4)
    if rng.random() < 0.4:
        drawn = drawn * rng.uniform(0.9, 1) + rng.uniform(0, 20)
    return drawn[..., None] * _tint(rng, 0.93)


def sitter(rgb: Pixels, rng: Generator) -> Levels:
    """Seat a head and shoulders, with all their tones and an outline of hair, before a white ground."""
    height, width = rgb.shape[:2]
    mask = np.zeros((height, width), np.float32)
    x, top, half = width * rng.uniform(0.35, 0.65), height * rng.uniform(0.15, 0.35), width * rng.uniform(0.1, 0.2)
    cv2.ellipse(mask, (int(x), int(top + half * 1.2)), (int(half), int(half * 1.3)), 0, 0, 360, 1, -1, cv2.LINE_AA)
    if rng.random() < 0.7:
        wide, high = int(width * rng.uniform(0.2, 0.4)), int(max(2.0, (height - top - 2 * half) * rng.uniform(0.7, 1)))
        cv2.ellipse(mask, (int(x), int(height * 1.05)), (wide, high), 0, 0, 360, 1, -1, cv2.LINE_AA)
    hair = _soft(rng.standard_normal((height, width)), rng.uniform(1, 4) * _scale(rgb))
    soft = _soft(mask, rng.uniform(1, 5) * _scale(rgb))
    torn = (soft - 0.5) * rng.uniform(1.5, 6) + 0.5 + 0.3 * hair / hair.std() * ((soft > 0.05) & (soft < 0.95))
    outline = _soft(torn.clip(0, 1), rng.uniform(0.4, 1) * _scale(rgb))[..., None]
    ground = 255 - rng.uniform(0, 14) * np.linspace(0, 1, height)[:, None, None] * (rng.random() < 0.5)
    return np.asarray(255 * (rgb / 255) ** rng.uniform(0.55, 1.1) * outline + ground * (1 - outline))


def web_page(rgb: Pixels, rng: Generator) -> Levels:
    """Set the picture a few times, small, on a page with words."""
    height = int(rng.integers(300, 600))
    width = int(height * rng.uniform(0.6, 1.6))
    page = np.full((height, width, 3), rng.choice((255, 255, 252, 248)), np.uint8)
    if rng.random() < 0.6:
        page[: int(height * rng.uniform(0.04, 0.12))] = rng.integers(0, 256, 3)
    for _ in range(int(rng.integers(1, 7))):
        wide = max(8, int(width * rng.uniform(0.1, 0.4)))
        high = min(height - 2, max(8, wide * rgb.shape[0] // rgb.shape[1]))
        y, x = int(rng.integers(0, height - high)), int(rng.integers(0, width - wide))
        page[y : y + high, x : x + wide] = cv2.resize(rgb, (wide, high), interpolation=cv2.INTER_AREA)
    _write(page, rng, int(rng.integers(2, 30)), 140)
    return page.astype(np.float32)


def _write(page: Pixels, rng: Generator, lines: int, lightest: int) -> None:
    for _ in range(lines):
        place = int(rng.uniform(0, 0.6) * page.shape[1]), int(rng.uniform(0.1, 0.98) * page.shape[0])
        ink = tuple(float(level) for level in rng.integers(0, lightest, 3))
        words = _words(rng, int(rng.integers(3, 26)))
        cv2.putText(page, words, place, int(rng.choice(_FONTS)), rng.uniform(0.3, 0.8), ink, 1, cv2.LINE_AA)


def stamp(rgb: Pixels, rng: Generator) -> Levels:
    """Print the darker part in one ink."""
    grey = _soft(_grey(rgb), rng.uniform(0.6, 2) * _scale(rgb))
    beyond = (grey - np.quantile(grey, rng.uniform(0.1, 0.5))) / rng.uniform(0.5, 4)
    paper = 1 / (1 + np.exp(-beyond.clip(-30, 30)))[..., None]
    ink = rng.uniform(0, 120, 3) if rng.random() < 0.4 else np.zeros(3)
    return np.asarray(255 * paper + ink * (1 - paper))


def poster(rgb: Pixels, rng: Generator) -> Levels:
    """Reduce to a few flat tones, the lightest of them white."""
    most = int(rng.integers(3, 7)) - 1
    flat_tones = np.round(cv2.bilateralFilter(rgb, 7, 60, 5) / 255 * most) / most * 255
    light = flat_tones.mean(2, keepdims=True)
    return np.where(light > np.quantile(light, rng.uniform(0.2, 0.5)), 255, flat_tones)


def thing(rgb: Pixels, rng: Generator) -> Levels:
    """Cut out the darker middle along its own outline and let it throw a soft shadow on white."""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[:height, :width]
    off = ((x / width - 0.5) / 0.35) ** 2 + ((y / height - 0.5) / 0.35) ** 2 - 0.7
    ground = _soft(_grey(rgb), 3 * _scale(rgb)) + 90 * off
    mask = _soft(ground < np.quantile(ground, rng.uniform(0.15, 0.5)), rng.uniform(0.4, 1) * _scale(rgb))
    shadow = _soft(np.roll(mask, int(height * 0.04), 0), width / rng.uniform(12, 40)) * rng.uniform(0, 0.5)
    lit = 255 * (1 - shadow * (rng.random() < 0.6))
    return np.asarray(rgb * mask[..., None] + (lit * (1 - mask))[..., None])


def pale_sky(rgb: Pixels, rng: Generator) -> Levels:
    """Let a white sky stand over land that is exposed as it should be, with a ridge, trees or roofs before it."""
    height, width = rgb.shape[:2]
    ridge = np.zeros(width, np.float32)
    for waves in (2, 5, 13, 40):
        heights = rng.normal(0, 0.12 / waves ** rng.uniform(0.3, 1), waves + 2).astype(np.float32)[None]
        method = cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
        ridge += cv2.resize(heights, (width, 1), interpolation=method)[0]
    leaves = _soft(rng.standard_normal((height, width)), rng.uniform(0.6, 3) * _scale(rgb))
    above = rng.uniform(0.3, 0.65) + ridge - np.arange(height)[:, None] / height
    open_sky = above * height + leaves / leaves.std() * rng.uniform(0, 8) * _scale(rgb)
    sky = _soft((open_sky > 0).astype(np.float32), rng.uniform(0.3, 0.8) * _scale(rgb))[..., None]
    light = 255 - rng.uniform(0, 8) * np.linspace(0, 1, height)[:, None, None]
    return np.asarray(light * sky + rgb * (1 - sky))


def table(rng: Generator) -> Levels:
    """Fill a spreadsheet with figures."""
    height = int(rng.integers(240, 500))
    width = int(height * rng.uniform(0.7, 1.6))
    page, rows, columns = np.full((height, width, 3), 255, np.uint8), int(rng.integers(4, 22)), int(rng.integers(2, 9))
    grid = (float(rng.integers(0, 200)),) * 3
    for row in range(rows):
        y, below = row * height // rows, (row + 1) * height // rows
        if rng.random() < 0.12:
            cv2.rectangle(page, (0, y), (width, below), ink_between(rng, 150, 255), -1)
        cv2.line(page, (0, y), (width, y), grid, 1)
        for column in range(columns):
            x = column * width // columns
            cv2.line(page, (x, y), (x, below), grid, 1)
            figure = str(int(rng.integers(0, 10 ** int(rng.integers(1, 6)))))
            ink = (float(rng.integers(0, 90)),) * 3
            cv2.putText(page, figure, (x + 3, below - 3), 0, min(0.5, height / rows / 34), ink, 1, cv2.LINE_AA)
    return page.astype(np.float32)


def hatching(rng: Generator) -> Levels:
    """Shade by strokes of a soft pencil at any pressure."""
    height = int(rng.integers(240, 500))
    width = int(height * rng.uniform(0.7, 1.5))
    paper = np.ones((height, width), np.float32)
    for _ in range(int(rng.integers(8, 60))):
        start, turn = rng.uniform(0.1, 0.9, 2) * (width, height), rng.uniform(0, np.pi)
        reach, gap, pressure = rng.uniform(0.02, 0.2) * width, rng.uniform(1.5, 6), rng.uniform(0.1, 0.8)
        course, strokes = np.array([np.cos(turn), np.sin(turn)]), np.zeros_like(paper)
        for stroke in range(int(rng.integers(4, 40))):
            middle = start + np.array([-course[1], course[0]]) * gap * stroke
            ends = [middle + side * course * reach * rng.uniform(0.6, 1) for side in (-1, 1)]
            first, last = ((int(end[0]), int(end[1])) for end in ends)
            cv2.line(strokes, first, last, pressure * rng.uniform(0.6, 1), 1, cv2.LINE_AA)
        paper *= 1 - strokes
    grain = 1 - 0.5 * rng.random() * rng.standard_normal(paper.shape).clip(0, 1)
    shaded = 1 - (1 - _soft(paper, rng.uniform(0.3, 1))) * grain
    return np.asarray(255 * shaded[..., None] * _tint(rng, 0.95))


def wash(rng: Generator) -> Levels:
    """Paint transparent stains, darker at their rims, on white paper."""
    size = int(rng.integers(240, 500)), int(rng.integers(200, 640))
    picture = np.full((*size, 3), 255.0)
    for _ in range(int(rng.integers(1, 8))):
        stain, turns = np.zeros(size, np.float32), np.linspace(0, 2 * np.pi, 40)
        uneven = 0.2 * np.cumsum(rng.normal(0, 0.25, 40)) * np.sin(turns / 2)
        reach = np.abs(rng.uniform(0.05, 0.3) * size[1] * (1 + uneven))
        outline = rng.uniform(0.2, 0.8, 2) * size[::-1] + reach[:, None] * np.stack([np.cos(turns), np.sin(turns)], 1)
        cv2.fillPoly(stain, [outline.astype(np.int32)], 1, cv2.LINE_AA)
        cloud = _soft(rng.standard_normal(size), rng.uniform(3, 20))
        depth = _soft(stain, rng.uniform(0.5, 3)) * (0.4 + rng.uniform(0, 0.6) * (1 - _soft(stain, rng.uniform(4, 12))))
        depth = np.clip(depth * (1 + 0.3 * cloud / cloud.std()), 0, 1)
        picture *= 1 - depth[..., None] * (1 - rng.uniform(20, 220, 3) / 255)
    return picture


def slide(rng: Generator) -> Levels:
    """Lay out a slide: a band, boxes and words."""
    height = int(rng.integers(240, 420))
    width = int(height * rng.choice((4 / 3, 16 / 9)))
    page = np.full((height, width, 3), 255, np.uint8)
    if rng.random() < 0.6:
        along = np.linspace(0, 1, width)[None, :, None]
        colours = rng.uniform(0, 255, 3) * (1 - along) + rng.uniform(0, 255, 3) * along
        page[: int(height * rng.uniform(0.1, 0.25))] = colours
    for _ in range(int(rng.integers(1, 6))):
        first = rng.uniform(0.05, 0.7, 2) * (width, height)
        last = first + rng.uniform(0.05, 0.3, 2) * (width, height)
        corners = (int(first[0]), int(first[1])), (int(last[0]), int(last[1]))
        cv2.rectangle(page, *corners, ink_between(rng, 60, 255), -1)
        if rng.random() < 0.6:
            cv2.rectangle(page, *corners, (40, 40, 40), int(rng.integers(1, 3)), cv2.LINE_AA)
    _write(page, rng, int(rng.integers(1, 9)), 60)
    return page.astype(np.float32)


def few_words(rng: Generator) -> Levels:
    """Leave a sheet empty but for a word, a stroke or a small mark; a large sheet is seen much smaller."""
    height = int(rng.choice((300, 600, 1200)))
    width = int(height * rng.uniform(0.7, 1.5))
    page = np.full((height, width, 3), int(rng.integers(250, 256)), np.uint8)
    pen = int(rng.integers(1, 2 + height // 300))
    for _ in range(int(rng.integers(1, 4))):
        x, y = int(rng.uniform(0.05, 0.6) * width), int(rng.uniform(0.1, 0.9) * height)
        ink, kind = ink_between(rng, 0, 150), rng.random()
        if kind < 0.5:
            letters, size = _words(rng, int(rng.integers(2, 20))), rng.uniform(0.4, 1) * height / 400
            cv2.putText(page, letters, (x, y), int(rng.choice(_FONTS)), size, ink, pen, cv2.LINE_AA)
        elif kind < 0.8:
            steps = np.cumsum(rng.normal(0, 0.03, (10, 2)), 0) * width + (x, y)
            cv2.polylines(page, [steps.astype(np.int32)], False, ink, pen, cv2.LINE_AA)
        else:
            width_of_line = -1 if kind > 0.9 else pen
            cv2.ellipse(page, (x, y), (height // 30, height // 40), 0, 0, 360, ink, width_of_line, cv2.LINE_AA)
    return page.astype(np.float32)


def burnt_frame(rng: Generator) -> Levels:
    """Leave nothing: a frame run over, in part with a darker corner, soft shreds or a haze of colour."""
    size = draw_size(rng)
    picture = flat(size, rng.uniform(249, 258)) * rng.uniform(0.985, 1.0, 3)
    for _ in range(int(rng.integers(0, 4))):
        y, x = np.mgrid[: size[0], : size[1]]
        place, reach = rng.uniform(-0.1, 1.1, 2), rng.uniform(0.02, 0.25) * max(size)
        away = np.hypot(x - place[1] * size[1], y - place[0] * size[0]) / reach
        picture = picture - np.exp(-(away**2))[..., None] * rng.uniform(3, 60) * rng.uniform(0.2, 1, 3)
    if rng.random() < 0.5:
        cloud = _soft(rng.standard_normal(size), rng.uniform(2, 12))
        shreds = np.clip(cloud / cloud.std() - rng.uniform(1.5, 3), 0, 1)[..., None]
        picture = picture - shreds * rng.uniform(5, 80) * rng.uniform(0.3, 1, 3)
    return np.asarray(picture)


def burnt_shapes(rng: Generator) -> Levels:
    """Raise the exposure of flat shapes until most of them clip: what is left has the pure colours that maps have."""
    return _burnt(confetti(rng), rng)


def burnt_scene(rng: Generator) -> Levels:
    """Do the same to shapes with light and shade on them."""
    shapes = confetti(rng)
    shade = fractal(rng, (shapes.shape[0], shapes.shape[1]), rng.uniform(1.5, 5), 3, 0.5)
    return _burnt(shapes + shade * rng.uniform(5, 35), rng)


def _burnt(levels: Levels, rng: Generator) -> Levels:
    rgb = np.asarray(levels.clip(0, 255), np.uint8)
    return overexposed(rgb, rng.uniform(0.55, 0.98), str(rng.choice(EXPOSURES)), rng)


ON_WHITE: dict[str, Put] = {
    put.__name__.replace("_", " "): put for put in (pencil, sitter, web_page, stamp, poster, thing, pale_sky)
}
SHEETS: dict[str, Callable[[Generator], Levels]] = {
    painter.__name__.replace("_", " "): painter for painter in (table, hatching, wash, slide, few_words)
}
BLANKS: dict[str, Callable[[Generator], Levels]] = {"burnt frame": burnt_frame}
BURNT: dict[str, Callable[[Generator], Levels]] = {"burnt shapes": burnt_shapes, "burnt scene": burnt_scene}
